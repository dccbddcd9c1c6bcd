"""Thresholds of earlier work, by assay, for probabilities of class 1."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from antibody_esm.data.dataset import Dataset


class AssayThreshold(NamedTuple):
    """A threshold that earlier work used for an assay."""

    threshold: float
    origin: str
    """Source of the threshold."""
    tuned_on: str = ""
    """DOI of the data whose labels it was chosen by; scores on these data are optimistic."""


_PREDECESSOR = "the predecessor's code (antibody_training_pipeline_ESM, src/antibody_training_esm/core/classifier.py)"

ASSAY_THRESHOLDS: Mapping[str, AssayThreshold] = MappingProxyType(
    {
        "elisa": AssayThreshold(0.5, f"{_PREDECESSOR}, for data labelled by ELISA"),
        "psr": AssayThreshold(
            0.5495,
            f"{_PREDECESSOR}, for data labelled by a polyspecificity reagent; chosen so that the confusion matrix on "
            "the antibodies of Shehata et al. 2019 was the published one",
            tuned_on="10.1016/j.celrep.2019.08.056",
        ),
    }
)
"""Thresholds by the name of the assay, kept so that earlier results can be repeated; none is a default."""


def chosen_threshold(threshold: float | None, assay: str | None) -> float | None:
    """Return the explicit threshold, else that of the assay; None if there is neither.

    Raises
    ------
    ValueError
        If there is no such assay, or the threshold is not from 0 to 1.

    Examples
    --------
    >>> chosen_threshold(None, "psr"), chosen_threshold(0.4, "psr")
    (0.5495, 0.4)
    """
    if assay is not None and assay not in ASSAY_THRESHOLDS:
        raise ValueError(f"unknown assay {assay!r}; choose one of {', '.join(ASSAY_THRESHOLDS)}, or pass threshold=")
    if threshold is None:
        return None if assay is None else ASSAY_THRESHOLDS[assay].threshold
    if not 0 <= threshold <= 1:
        raise ValueError(f"a threshold is a probability, from 0 to 1, not {threshold}")
    return float(threshold)


def tuned_here(threshold: float | None, data: "Dataset") -> str | None:
    """Return a warning if this threshold was chosen by the labels of the same data."""
    for name, assay in ASSAY_THRESHOLDS.items():
        if assay.tuned_on and assay.threshold == threshold and assay.tuned_on in data.provenance.citation:
            return (
                f"The threshold {threshold:g} of assay {name!r} was chosen by the labels of these very antibodies "
                f"(doi:{assay.tuned_on}): classes predicted with it are no independent test."
            )
    return None
