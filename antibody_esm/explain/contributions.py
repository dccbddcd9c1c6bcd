"""Contributions of residues to a prediction."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.reading import Reading
from antibody_esm.embedding import vectors_of
from antibody_esm.explain import picture
from antibody_esm.explain.logits import Unit, linear, not_linear, scores, unit
from antibody_esm.explain.marks import Marks
from antibody_esm.explain.residue_shares import not_a_sum, residue_shares
from antibody_esm.explain.sites import Site, sites, sites_read
from antibody_esm.files import write
from antibody_esm.scorer import Scorer
from antibody_esm.sequences import ALPHABET, ModelText, normalise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Method = Literal["exact", "occlusion", "shap"]


@dataclass(frozen=True, eq=False, repr=False)
class Contributions:
    """Contribution of each residue of an antibody to the score that a model gives it."""

    sequence: str
    """In normal form; a pair's chains have ``|`` between them, which is no residue."""
    contributions: NDArray[np.float64]
    """``(length,)``, in `unit`; a pair has the heavy chain first. Above 0, the residue raises the score."""
    intercept: float | None
    """Score without any residue: ``intercept + contributions.sum()`` is the score. None if contributions do not sum to
    it."""
    score: float
    """Score of the antibody in `unit`: log-odds of class 1, a regressor's value, or the probability of class 1."""
    method: Method
    unit: Unit
    rounding: float = 0.0
    """Part of the score that comes from rounding the vector to its storage; all residues that take part share it."""
    numbered: "list[Site] | None" = None
    """Place of each residue by IMGT numbering, as the model's reading has it; None numbers the sequence itself."""
    antibody: str = ""
    """All chains in normal form, of which `sequence` is the part that the model reads; empty: it is all there is."""
    reading: Reading | None = None
    """Reading of the model; None: human and mouse profiles number."""
    marks: Marks = None
    """Liabilities that pictures show; see `antibody_esm.design.with_liabilities`."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sequence!r}, score={self.score:.3g}, {self.method}, {self.unit})"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return picture.fragment(self)

    @cached_property
    def sites(self) -> list[Site]:
        """Place of each residue by IMGT numbering."""
        return sites(self.sequence) if self.numbered is None else self.numbered

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a residue: ``chain``, ``index``, ``position``, ``region``, ``residue``, ``contribution``."""
        import pandas as pd

        columns = ["chain", "index", "position", "region", "residue"]
        return pd.DataFrame([site[:5] for site in self.sites], columns=columns).assign(contribution=self.contributions)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw a bar for each residue over its IMGT position, loops shaded, and return the axes."""
        return picture.plot(self, ax)

    def to_text(self, *, color: bool = False) -> str:
        """Return the chain region by region, in 80 columns, with marks at residues that raise or lower the score.

        Parameters
        ----------
        color
            True colours the residues for a terminal.
        """
        return picture.text(self, color=color)

    def to_html(self, path: str | Path) -> Path:
        """Write a page of the chain, which loads nothing and has a light and a dark style, and return its path."""
        write(Path(path), picture.page(self).encode())
        return Path(path)


def residue_contributions(
    predictor: Scorer,
    sequence: str | tuple[str, str],
    *,
    method: Literal["auto", "exact", "occlusion"] = "auto",
    check: bool | None = None,
) -> Contributions:
    """Return the contribution of each residue to the score of a sequence.

    For a linear model on the mean of residue vectors, the logit, or value, is exactly the intercept and a sum of one
    term for each residue. Residues outside of the spec's region have 0. A residue's vector depends on its neighbours:
    its term describes the residue in this antibody, and not its effect in another one.

    The score is that of the predicted probability: a sigmoid calibration and a recalibration are part of it. With an
    isotonic calibration, the score before calibration is explained (`unit` is ``raw_logit``); probabilities rise with
    it, or stay.

    Parameters
    ----------
    predictor
        A fitted model.
    sequence
        A chain, or a pair of heavy and light. The part that the model reads is explained, see `Predictor.reads`.
    method
        ``exact``; ``occlusion``, see `occlusion`; ``auto``: exact if possible, else occlusion. See also `shapley`.
    check
        As for `Predictor.predict`.

    Raises
    ------
    ValueError
        If ``method`` is ``exact`` and the score is no sum over residues; the message gives the reason.
    DatasetError
        If the model does not read such an antibody.
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed`.

    Examples
    --------
    >>> from antibody_esm import Trainer, load_dataset
    >>> trainer = Trainer("antiberty", store="embeddings/")
    >>> predictor = trainer.fit(load_dataset("boughter_flu_cdrs"), uncertainty=False)
    >>> explained = residue_contributions(predictor, "GFTFSSYAISGSGGSTAKDRGGYYFDY")
    >>> explained.contributions.shape, explained.method
    ((27,), 'exact')
    >>> bool(abs(explained.intercept + explained.contributions.sum() - explained.score) < 1e-5)
    True
    """
    if method == "occlusion":
        return occlusion(predictor, sequence, check=check)
    reason = not_linear(predictor) or not_a_sum(predictor.extractor)
    if reason is not None:
        if method == "exact":
            raise ValueError(f"the score is no sum over residues, as {reason}; use method='occlusion'")
        return occlusion(predictor, sequence, check=check)
    function = linear(predictor)
    assert function is not None  # noqa: S101  else there was a reason
    text = predictor.reads(sequence, check=check)
    score = float(scores(predictor, [text])[0])
    shares = residue_shares(text, predictor.extractor)
    vector = vectors_of([text], predictor.extractor, predictor.store)[0].astype(np.float64)
    rounding = float((vector - shares.sum(axis=0)) @ function.weights)
    takes_part = shares.any(axis=1)
    contributions = shares @ function.weights + rounding / takes_part.sum() * takes_part
    (whole,) = normalise([sequence], pairs=True)
    numbered = sites_read(whole, text, predictor.reading)
    return Contributions(
        *(text, contributions, function.intercept, score, "exact", unit(predictor), rounding, numbered),
        antibody=whole,
        reading=predictor.reading,
    )


def occlusion(
    predictor: Scorer,
    sequence: str | tuple[str, str],
    *,
    window: int = 1,
    replacement: str = "X",
    check: bool | None = None,
) -> Contributions:
    """Return the fall of a sequence's score when each residue is hidden, for any model.

    Contributions do not sum to the score. If `window` hides several neighbours at a time, each has the mean
    change of the windows over it, divided by their width.

    Parameters
    ----------
    predictor
        A fitted model. Its store keeps the vectors, so no sequence goes through the language model twice.
    sequence
        A chain, or a pair of heavy and light. The part that the model reads is explained, see `Predictor.reads`.
    window
        Neighbours that are hidden together, fewer than a chain has.
    replacement
        Replacement of hidden residues: X, the unknown residue, or an amino acid, such as ``A`` for an alanine scan. An
        amino acid is better for models that never saw X in training, such as AntiBERTy and AntiBERTa2.
    check
        As for `Predictor.predict`.

    Raises
    ------
    ValueError
        If the window is not shorter than each chain, or the replacement is no residue.
    DatasetError
        If the model does not read such an antibody.
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed`.
    """
    text = predictor.reads(sequence, check=check)
    read = ModelText.of(text)
    chains = read.chains
    if not 1 <= window < min(map(len, chains)):
        raise ValueError(f"a window is from 1 to {min(map(len, chains)) - 1} residues wide here, not {window}")
    if len(replacement) != 1 or replacement not in ALPHABET:
        raise ValueError(f"a replacement is one of {ALPHABET}, not {replacement!r}")
    hidden, covers, before = [], [], 0
    for number, chain in enumerate(chains):
        for start in range(len(chain) - window + 1):
            other = chain[:start] + replacement * window + chain[start + window :]
            hidden.append(str(read.with_chain(number, other)))
            covers.append(before + start)
        before += len(chain)
    values = scores(predictor, [text, *hidden])
    sums, counts = np.zeros((2, before))
    for start, change in zip(covers, values[0] - values[1:], strict=True):
        sums[start : start + window] += change / window
        counts[start : start + window] += 1
    (whole,) = normalise([sequence], pairs=True)
    return Contributions(
        *(text, sums / counts, None, float(values[0]), "occlusion", unit(predictor)),
        numbered=sites_read(whole, text, predictor.reading),
        antibody=whole,
        reading=predictor.reading,
    )
