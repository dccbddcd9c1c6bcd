"""Masked marginals: the residues that a language model expects at a hidden position.

The method is that of Meier et al. 2021 (doi:10.1101/2021.07.09.450648). An embedding needs the encoder alone; masked
marginals also need the head that was trained with it. If a checkpoint's files lack the head, transformers fills it with
random numbers, so missing weights raise `NoHead` here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.batching import batches, in_company
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.families import family_of, is_causal
from antibody_esm.plm.proof import forward_errors, plain_numbers
from antibody_esm.plm.remote import RemoteModel
from antibody_esm.plm.schedule import each, progress_bar
from antibody_esm.plm.weights import has_head, read_weights
from antibody_esm.sequences import AMINO_ACIDS
from antibody_esm.specs import ExtractorSpec, RuntimeSpec
from antibody_esm.specs.local_models import folder_name
from antibody_esm.threads import runs_elsewhere

LogProbabilities = NDArray[np.float64]
"""Log-probabilities ``(b, 20)``, one row a place."""

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
    here = MaskedModel(extractor.spec, extractor.runtime, extractor)
    tokens = here.check(sequence)
    step: Callable[[Masked], LogProbabilities] = here.run
    if runs_elsewhere():
        files = extractor.checkpoint
        spec = extractor.pinned.with_folders(files.folder, files.tokenizer)  # other processes look there first
        step = RemoteModel[Masked, LogProbabilities].of(MaskedModel, spec, extractor.runtime).run
    else:
        here.warm_up()
    log_probabilities = np.empty((len(places), len(AMINO_ACIDS)))
    todo = [Masked(sequence, batch, [places[i] for i in batch]) for batch in batches([tokens] * len(places), _TOKENS)]
    workers = None if runs_elsewhere() else extractor.workers
    with progress_bar(len(places), "masked", "position", extractor.runtime.progress, "plausibility") as bar:
        for batch, rows in each(_Step(step), todo, workers):
            log_probabilities[batch.rows] = rows
            bar.update(len(batch.rows))
    return log_probabilities


@dataclass(frozen=True)
class Masked:
    """Places of a sequence that are hidden one by one."""

    sequence: str
    rows: list[int]
    """LogProbabilities of the result."""
    places: list[int]


@dataclass(frozen=True)
class _Step:
    """Work on one batch, which can be sent to other processes."""

    run: Callable[[Masked], LogProbabilities]

    def __call__(self, batch: Masked) -> tuple[Masked, LogProbabilities]:
        """Return the batch with its result."""
        return batch, self.run(batch)


class MaskedModel:
    """A language model with its head, read by `warm_up`.

    Parameters
    ----------
    spec, runtime
        Those of an extractor.
    extractor
        The extractor, if it exists.
    """

    def __init__(self, spec: ExtractorSpec, runtime: RuntimeSpec, extractor: Extractor | None = None) -> None:
        self._extractor = extractor or Extractor(spec, runtime)

    def check(self, sequence: str) -> int:
        """Return the number of tokens of a sequence; raises NoHead without reading weights."""
        if self._extractor.spec.random_weights is not None:
            raise NoHead("random weights expect no residue")
        checkpoint, vocabulary = self._extractor.checkpoint, self._extractor.vocabulary
        kind = str(checkpoint.config.get("model_type"))
        if is_causal(checkpoint):
            raise NoHead(
                f"models of type {kind} are no masked language models: they are causal, and read nothing behind a "
                "residue"
            )
        if vocabulary.mask is None or not has_head(checkpoint):
            raise NoHead(f"models of type {kind} are no masked language models")
        (tokens,) = vocabulary.encode([sequence])
        return len(tokens)

    def warm_up(self) -> None:
        """Read the model."""
        self._model  # noqa: B018

    @cached_property
    def _model(self) -> Any:
        import torch

        checkpoint = self._extractor.checkpoint
        model, absent = read_weights(checkpoint, "AutoModelForMaskedLM", torch.float32)
        encoder = f"{model.base_model_prefix}."
        recomputed = tuple(encoder + name for name in family_of(checkpoint).recomputed)
        absent = {name for name in absent if not name.startswith(recomputed or "\0")}
        if absent:
            missing = ", ".join(sorted(absent)[:2])
            raise NoHead(f"{folder_name(checkpoint.model)} holds no language-model head: {missing} are missing")
        if checkpoint.digest != self._extractor.resolved.digest:
            raise checkpoint.error("its files changed while they were in use")
        return model.to(self._extractor.device).eval()

    def run(self, batch: Masked) -> LogProbabilities:
        """Return the log-probabilities ``(b, 20)`` of a batch, computed in this thread."""
        import torch

        device, company = self._extractor.device, in_company(batch.places)
        if device == "cpu":
            torch.set_num_threads(1)
        vocabulary = self._extractor.vocabulary
        (tokens,) = vocabulary.encode([batch.sequence])
        residues = vocabulary.ids[[ord(residue) for residue in AMINO_ACIDS]]
        at = vocabulary.places(batch.sequence, np.asarray(company, np.int64))
        rows = np.repeat(tokens[None], len(company), axis=0)
        rows[np.arange(len(company)), at] = vocabulary.mask
        with forward_errors(self._extractor.checkpoint, rows), plain_numbers(torch.device(device).type):
            logits = self._model(input_ids=torch.from_numpy(rows).to(device)).logits
            here = logits[torch.arange(len(company)), torch.from_numpy(at)].double().log_softmax(dim=1)
        return np.asarray(here.cpu().numpy()[: len(batch.places), residues])
