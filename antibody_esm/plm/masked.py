"""How plausible a language model finds each amino acid at a place of a sequence that is hidden from it.

The masked marginal of doi:10.1101/2021.07.09.450648: the log probability of a residue where it is replaced by the mask
token, all others being seen.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.checkpoints import Checkpoint
from antibody_esm.plm.extractor import Extractor, quiet_transformers
from antibody_esm.plm.families import family_of, tokenizer_of, vocabulary_of
from antibody_esm.sequences import AMINO_ACIDS

_AT_ONCE = 32
"""Masked copies of a sequence in one batch."""


class MaskedLanguageModel:
    """A checkpoint with its language-model head.

    Parameters
    ----------
    extractor
        Whose checkpoint it is; the same bytes, checked in the same way.

    Attributes
    ----------
    absent
        Why there is no such head; None if there is one.

    Examples
    --------
    >>> model = MaskedLanguageModel(Extractor("antiberty"))
    >>> model.log_probabilities("EVQLVESGGGLVQPGGSLRLSCAAS", [3]).shape
    (1, 20)
    """

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self._model, self.absent = _load(extractor)

    def log_probabilities(self, sequence: str, indices: Sequence[int]) -> NDArray[np.float64]:
        """Return the log probability of each amino acid where it is masked, ``(n, 20)``, in the order of their letters.

        Probabilities are over the twenty amino acids, whatever else the model has tokens for.

        Parameters
        ----------
        sequence
            One chain.
        indices
            ``n`` places of it, from 0.

        Raises
        ------
        ValueError
            If the model has no head; see `absent`.
        SequenceError
            As `Extractor.embed` does.
        """
        import torch

        if self._model is None:
            raise ValueError(self.absent)
        (text,) = self._extractor.check([sequence])
        vocabulary = vocabulary_of(self._extractor.checkpoint)
        tokens = vocabulary.encode([text])
        letters = vocabulary.ids[[ord(one) for one in AMINO_ACIDS]]
        mask = tokenizer_of(self._extractor.checkpoint).mask_token_id
        found = np.empty((len(indices), 20))
        for start in range(0, len(indices), _AT_ONCE):
            some = list(indices[start : start + _AT_ONCE])
            hidden = np.repeat(tokens, len(some), axis=0)
            rows, columns = np.arange(len(some)), np.array(some) + len(vocabulary.prefix)
            hidden[rows, columns] = mask
            with torch.inference_mode():
                logits = self._model(input_ids=torch.from_numpy(hidden)).logits[rows, columns]
            chosen = logits.float().numpy()[:, letters].astype(np.float64)
            found[start : start + len(some)] = chosen - np.logaddexp.reduce(chosen, axis=1, keepdims=True)
        return found


def _load(extractor: Extractor) -> tuple[Any, str | None]:
    """Return the model, or None and why there is none."""
    import transformers

    checkpoint: Checkpoint = extractor.checkpoint
    if tokenizer_of(checkpoint).mask_token_id is None:
        return None, "the tokenizer has no mask token"
    with checkpoint.staged() as folder, quiet_transformers():
        try:
            model, report = transformers.AutoModelForMaskedLM.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True, weights_only=True, output_loading_info=True
            )
        except (ValueError, KeyError):
            return None, "transformers has no language-model head for this family"
    random = sorted(
        name
        for name in report["missing_keys"]
        if not any(name.endswith(one) for one in family_of(checkpoint).recomputed)
    )
    if random or report["mismatched_keys"]:
        return None, f"its weights have no language-model head ({', '.join(random[:2])} would be random)"
    if checkpoint.digest != extractor.resolved.digest:
        raise checkpoint.error("its files changed while they were in use")
    return model.eval(), None
