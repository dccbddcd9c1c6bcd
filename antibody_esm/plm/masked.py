"""Masked marginals: the residues that a language model expects at a hidden position.

The method is that of Meier et al. 2021 (doi:10.1101/2021.07.09.450648). An embedding needs the encoder alone; masked
marginals also need the head that was trained with it. If a checkpoint's files lack the head, transformers fills it with
random numbers, so missing weights raise `NoHead` here.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.batching import batches, in_company
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.families import family_of, is_causal
from antibody_esm.plm.schedule import each, progress_bar
from antibody_esm.plm.weights import read_weights
from antibody_esm.sequences import AMINO_ACIDS

_TOKENS = 1024
"""Largest number of tokens in a batch."""


class NoHead(Exception):  # noqa: N818  no error: many checkpoints are encoders alone
    """A checkpoint has no masked marginals; the message gives the reason."""


def masked_log_probabilities(extractor: Extractor, sequence: str, places: Sequence[int]) -> NDArray[np.float64]:
    """Return the log-probability of each amino acid at each place, by the model of an extractor.

    The whole model runs once for each place, in float32, with the residue there hidden by the mask token. Layer,
    pooling and region of the extractor have no effect.

    Parameters
    ----------
    extractor
        Extractor whose files are read.
    sequence
        In normal form; a pair only if the spec joins its chains.
    places
        ``n`` indices into it.

    Returns
    -------
    ``(n, 20)``, in the order of `AMINO_ACIDS`; over all tokens, so rows sum to less than 1.

    Raises
    ------
    NoHead
        If the family is causal, has no masked language model in transformers or no mask token, or the files lack the
        head.
    CheckpointError
        If the files cannot be found, read or trusted.
    """
    import torch
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    if extractor.spec.random_weights is not None:
        raise NoHead("random weights expect no residue")
    checkpoint = extractor.checkpoint
    kind = str(checkpoint.config.get("model_type"))
    if is_causal(checkpoint):
        raise NoHead(
            f"models of type {kind} are no masked language models: they are causal, and read nothing behind a residue"
        )
    vocabulary = extractor.vocabulary
    if kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES or vocabulary.mask is None:
        raise NoHead(f"models of type {kind} are no masked language models")
    model, absent = read_weights(checkpoint, "AutoModelForMaskedLM", torch.float32)
    encoder = f"{model.base_model_prefix}."
    recomputed = tuple(encoder + name for name in family_of(checkpoint).recomputed)
    absent = {name for name in absent if not name.startswith(recomputed or "\0")}
    if absent:
        raise NoHead(f"{checkpoint.model} holds no language-model head: {', '.join(sorted(absent)[:2])} are missing")
    if checkpoint.digest != extractor.resolved.digest:
        raise checkpoint.error("its files changed while they were in use")
    device = extractor.device
    model = model.to(device).eval()
    (tokens,) = vocabulary.encode([sequence])
    residues = vocabulary.ids[[ord(residue) for residue in AMINO_ACIDS]]
    at = vocabulary.places(sequence, np.asarray(places, np.int64))
    log_probabilities = np.empty((len(at), len(AMINO_ACIDS)))

    def run(positions: list[int]) -> tuple[list[int], NDArray[np.float64]]:
        batch = in_company(positions)
        if device == "cpu":
            torch.set_num_threads(1)
        rows = np.repeat(tokens[None], len(batch), axis=0)
        rows[np.arange(len(batch)), at[batch]] = vocabulary.mask
        with torch.inference_mode():
            logits = model(input_ids=torch.from_numpy(rows).to(device)).logits
            here = logits[torch.arange(len(batch)), torch.from_numpy(at[batch])].double().log_softmax(dim=1)
        return positions, here.cpu().numpy()[: len(positions), residues]

    todo = batches([len(tokens)] * len(at), _TOKENS)
    with progress_bar(len(at), "masked", "position", extractor.runtime.progress) as bar:
        for positions, rows in each(run, todo, extractor.workers):
            log_probabilities[positions] = rows
            bar.update(len(positions))
    return log_probabilities
