"""Spec of the folds of a cross-validation."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from antibody_esm.specs.base import Seed, Share, Spec

SplitBy = Literal["antibody", "identity", "group", "family", "fold"]


class SplitSpec(Spec):
    """How cross-validation divides a data set: stratified folds, by default ten and shuffled.

    Examples
    --------
    >>> SplitSpec(by="identity", identity=0.8, repeats=5)
    SplitSpec(repeats=5, by='identity', identity=0.8)
    """

    folds: Annotated[int, Field(ge=2)] = 10
    shuffle: bool = True
    random_state: Seed = 0
    repeats: PositiveInt = 1
    """How often all antibodies are divided into folds, each time by another seed, the first time by `random_state`."""
    by: SplitBy = "antibody"
    """What is never divided between training and test: an antibody; ``identity``: a cluster of sequences, see
    `identity`; ``group``: a group of the data set. Or which antibodies are tested together, whatever their labels:
    ``family``: one group of the data set at a time; ``fold``: those of one value of its measurement ``fold``."""
    identity: Share = 0.9
    """No pair of sequences at or above this identity is divided, where `by` is ``identity``."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.by != "identity" and self.identity != type(self).model_fields["identity"].default:
            raise ValueError("a threshold of identity goes with by='identity'")
        changed = [
            name
            for name in ("folds", "shuffle", "random_state", "repeats")
            if getattr(self, name) != type(self).model_fields[name].default
        ]
        if self.by in ("family", "fold") and changed:
            raise ValueError(f"by={self.by!r} takes the folds of the data, and goes without {', '.join(changed)}")
        if self.repeats > 1 and not self.shuffle:
            raise ValueError("folds that are not shuffled are the same in every repeat")
        return self
