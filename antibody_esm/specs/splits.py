"""Spec of the folds of a cross-validation."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from antibody_esm.specs.base import Seed, Share, Spec

SplitBy = Literal["antibody", "identity", "group", "family", "fold"]


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
    ``family``: one group of the data set at a time; ``fold``: those with one value of the measurement ``fold``."""
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
        if self.by in ("family", "fold") and changed:
            raise ValueError(f"by={self.by!r} uses the folds of the data, and does not allow {', '.join(changed)}")
        if self.repeats > 1 and not self.shuffle:
            raise ValueError("repeats above 1 require shuffle=True: unshuffled folds are the same in every repeat")
        return self
