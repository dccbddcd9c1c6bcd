"""Spec of the folds of a cross-validation."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from antibody_esm.specs.base import Seed, Share, Spec

SplitBy = Literal["antibody", "identity", "group", "family", "fold", "leave_one_out"]

OF_THE_DATA = ("family", "fold", "leave_one_out")
"""Splits whose folds follow from the data, without a number or a seed."""


_FEW = 45
"""Antibodies with continuous labels of which ten folds would hold four or fewer each."""


class SplitSpec(Spec):
    """Division of a data set into folds: stratified, by default ten and shuffled.

    Examples
    --------
    >>> SplitSpec(by="identity", identity=0.8, repeats=5)
    SplitSpec(repeats=5, by='identity', identity=0.8)
    """

    folds: Annotated[int, Field(ge=2)] = 10
    shuffle: bool = True
    random_state: Seed = 0
    repeats: PositiveInt = 1
    """Number of divisions into folds, each with another seed; the first seed is `random_state`."""
    by: SplitBy = "antibody"
    """Unit that is never divided between training and test: an antibody; ``identity``: a cluster of sequences, see
    `identity`; ``group``: a group of the data set. Or the antibodies that are tested together, whatever their labels:
    ``family``: one group of the data set at a time; ``fold``: those with one value of the measurement ``fold``;
    ``leave_one_out``: one antibody at a time, for continuous labels of small data sets."""
    identity: Share = 0.9
    """If `by` is ``identity``, no pair of sequences at or above this identity is divided."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.by != "identity" and self.identity != type(self).model_fields["identity"].default:
            raise ValueError("identity requires by='identity'")
        changed = [
            name
            for name in ("folds", "shuffle", "random_state", "repeats")
            if getattr(self, name) != type(self).model_fields[name].default
        ]
        if self.by in OF_THE_DATA and changed:
            raise ValueError(f"by={self.by!r} uses the folds of the data, and does not allow {', '.join(changed)}")
        if self.repeats > 1 and not self.shuffle:
            raise ValueError("repeats above 1 require shuffle=True: unshuffled folds are the same in every repeat")
        return self


def default_split(antibodies: int, *, continuous: bool) -> SplitSpec:
    """Return the split of a run that names none.

    Ten stratified folds; for fewer than 45 antibodies with continuous labels five folds, repeated twenty times, since a
    correlation of four antibodies varies by chance alone.

    Parameters
    ----------
    antibodies
        Number of labelled antibodies.
    continuous
        True if labels are continuous.
    """
    return SplitSpec(folds=5, repeats=20) if continuous and antibodies < _FEW else SplitSpec()
