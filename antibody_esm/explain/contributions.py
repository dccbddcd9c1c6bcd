"""Which residues a prediction comes from."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from antibody_esm.embedding import embed
from antibody_esm.explain import picture
from antibody_esm.explain.scores import Unit, linear, scores, unit
from antibody_esm.explain.sites import Site, sites, sites_read
from antibody_esm.features.sources import AnyExtractor, Described, Ensemble
from antibody_esm.files import write
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.regions import places
from antibody_esm.predictor import Predictor
from antibody_esm.sequences import ALPHABET, BETWEEN, normalise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Method = Literal["exact", "occlusion", "shap"]


@dataclass(frozen=True, eq=False, repr=False)
class Contributions:
    """How much each residue of an antibody adds to the score that a model gives it."""

    sequence: str
    """In normal form; a pair's chains have ``|`` between them, which is no residue."""
    contributions: NDArray[np.float64]
    """``(length,)``, in `unit`; of a pair, the heavy chain's first. Above 0, the residue raises the score."""
    intercept: float | None
    """What the model would say without any residue: ``intercept + contributions.sum()`` is the score. None where
    contributions do not sum to it."""
    score: float
    """What the model says of the whole: log-odds of class 1, a regressor's value, or the probability of class 1."""
    method: Method
    unit: Unit
    rounding: float = 0.0
    """How much of the score comes from rounding the vector to its storage; all residues that take part share it."""
    numbered: "list[Site] | None" = None
    """Place of each residue by IMGT numbering, as the model's reading has it; None: as the sequence is numbered."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sequence!r}, score={self.score:.3g}, {self.method}, {self.unit})"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return picture.fragment(self)

    @cached_property
    def sites(self) -> list[Site]:
        """Where each residue stands by IMGT numbering."""
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
        """Return the chain region by region, in 80 columns, marked where residues raise or lower the score.

        Parameters
        ----------
        color
            Whether residues have the colours of a terminal too.
        """
        return picture.text(self, color=color)

    def to_html(self, path: str | Path) -> Path:
        """Write a page of the chain, which loads nothing and follows light and dark, and return its path."""
        write(Path(path), picture.page(self).encode())
        return Path(path)


def residue_contributions(
    predictor: Predictor,
    sequence: str | tuple[str, str],
    *,
    method: Literal["auto", "exact", "occlusion"] = "auto",
    check: bool | None = None,
) -> Contributions:
    """Return how much each residue adds to the score of a sequence.

    A linear model on the mean of residue vectors is a mean of residue scores: its logit, or value, is the intercept and
    a sum of one term for each residue, exactly. Residues outside of the spec's region have 0. A residue's vector knows
    its neighbours, so its term is what is read off at this place, not what the residue would add to another antibody.

    Of probabilities that are calibrated, the score before calibration is explained, with which they rise.

    Parameters
    ----------
    predictor
        A fitted model.
    sequence
        A chain, or a pair of heavy and light; what is explained of it is what the model reads, see `Predictor.reads`.
    method
        ``exact``; ``occlusion``, see `occlusion`; ``auto``: exact where it can be. `shapley` is another one.
    check
        As for `Predictor.predict`.

    Raises
    ------
    ValueError
        If ``exact`` is asked for and the score is no sum over residues; the message says why.
    DatasetError
        If the antibody is not what the model reads.
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed` does.

    Examples
    --------
    >>> from antibody_esm import Trainer, load_dataset
    >>> predictor = Trainer("antiberty").fit(load_dataset("boughter_flu_cdrs"), uncertainty=False)
    >>> found = residue_contributions(predictor, "GFTFSSYAISGSGGSTAKDRGGYYFDY")
    >>> found.contributions.shape, found.method
    ((27,), 'exact')
    >>> bool(abs(found.intercept + found.contributions.sum() - found.score) < 1e-5)
    True
    """
    if method == "occlusion":
        return occlusion(predictor, sequence, check=check)
    reason = _not_exact(predictor)
    if reason is not None:
        if method == "exact":
            raise ValueError(f"the score is no sum over residues, as {reason}; ask for method='occlusion'")
        return occlusion(predictor, sequence, check=check)
    found = linear(predictor)
    assert found is not None  # noqa: S101  else there was a reason
    text = predictor.reads(sequence, check=check)
    score = float(scores(predictor, [text])[0])
    shares = _shares(text, predictor.extractor)
    vector = embed([text], predictor.extractor, predictor.store)[0].astype(np.float64)
    rounding = float((vector - shares.sum(axis=0)) @ found.weights)
    takes_part = shares.any(axis=1)
    contributions = shares @ found.weights + rounding / takes_part.sum() * takes_part
    numbered = sites_read(normalise([sequence], pairs=True)[0], text, predictor.reading)
    return Contributions(text, contributions, found.intercept, score, "exact", unit(predictor), rounding, numbered)


def occlusion(
    predictor: Predictor,
    sequence: str | tuple[str, str],
    *,
    window: int = 1,
    replacement: str = "X",
    check: bool | None = None,
) -> Contributions:
    """Return how much the score of a sequence falls when each residue is hidden, for any model.

    Contributions do not sum to the score. Where `window` hides several neighbours at a time, each has the mean of what
    the windows over it change, divided by their width.

    Parameters
    ----------
    predictor
        A fitted model. Its store keeps the vectors, so no sequence goes through the language model twice.
    sequence
        A chain, or a pair of heavy and light; what is explained of it is what the model reads, see `Predictor.reads`.
    window
        Neighbours that are hidden together, fewer than a chain has.
    replacement
        What they become: X, the unknown residue; or an amino acid, as ``A`` for an alanine scan, which is to be
        preferred for models that never saw X in training, as AntiBERTy and AntiBERTa2.
    check
        As for `Predictor.predict`.

    Raises
    ------
    ValueError
        If the window is not shorter than each chain, or the replacement is no residue.
    DatasetError
        If the antibody is not what the model reads.
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed` does.
    """
    text = predictor.reads(sequence, check=check)
    chains = text.split(BETWEEN)
    if not 1 <= window < min(map(len, chains)):
        raise ValueError(f"a window is from 1 to {min(map(len, chains)) - 1} residues wide here, not {window}")
    if len(replacement) != 1 or replacement not in ALPHABET:
        raise ValueError(f"a replacement is one of {ALPHABET}, not {replacement!r}")
    hidden, covers, before = [], [], 0
    for number, chain in enumerate(chains):
        for start in range(len(chain) - window + 1):
            other = chain[:start] + replacement * window + chain[start + window :]
            hidden.append(BETWEEN.join([*chains[:number], other, *chains[number + 1 :]]))
            covers.append(before + start)
        before += len(chain)
    found = scores(predictor, [text, *hidden])
    sums, counts = np.zeros((2, before))
    for start, change in zip(covers, found[0] - found[1:], strict=True):
        sums[start : start + window] += change / window
        counts[start : start + window] += 1
    numbered = sites_read(normalise([sequence], pairs=True)[0], text, predictor.reading)
    return Contributions(text, sums / counts, None, float(found[0]), "occlusion", unit(predictor), numbered=numbered)


def _not_exact(predictor: Predictor) -> str | None:
    """Return why a score is no sum over residues; None if it is."""
    if linear(predictor) is None:
        return f"{predictor.spec.classifier.kind} is not linear in the vector"
    extractor = predictor.extractor
    for member in extractor.members if isinstance(extractor, Ensemble) else (extractor,):
        if isinstance(member, Described):
            return "descriptors are of the whole sequence"
        if member.spec.pooling != "mean":
            return f"the vector is the {member.spec.pooling} of residues and not their mean"
        if member.spec.special_tokens == "include":
            return "tokens that are no residues take part in the mean"
    return None


def _shares(text: str, extractor: AnyExtractor) -> NDArray[np.float64]:
    """Return what each residue adds to the vector of a sequence, ``(length, dim)``."""
    if isinstance(extractor, Ensemble):
        every = []
        for member in extractor.members:
            every.append(_shares(text, member))
            member.unload()
        return np.hstack(every) if extractor.spec.combine == "concat" else np.mean(every, axis=0)
    assert isinstance(extractor, Extractor)  # noqa: S101  descriptors are no sum over residues
    if BETWEEN in text and extractor.spec.pairs == "apart":
        heavy, light = (_shares(chain, extractor) for chain in text.split(BETWEEN))
        return np.block(
            [
                [heavy, np.zeros((len(heavy), light.shape[1]))],
                [np.zeros((len(light), heavy.shape[1])), light],
            ]
        )
    (states,) = extractor.residues([text])
    read = text[: extractor.max_length]
    residues = np.flatnonzero([letter != BETWEEN for letter in read])
    chosen = places([read], extractor.spec.region, extractor.spec.species)
    takes_part = np.isin(residues, residues if chosen is None else chosen[0])
    shares = np.zeros((len(text.replace(BETWEEN, "")), states.shape[1]))
    shares[: len(states)][takes_part] = states[takes_part].astype(np.float64) / takes_part.sum()
    return shares
