"""Antibodies as callers pass them, to the features that a fitted model reads."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.antibodies import NOT_NAMED, Inputs, Read, read_antibodies
from antibody_esm.data.layouts import Columns
from antibody_esm.data.reading import Reading, Texts, refuse
from antibody_esm.embedding import vectors_of
from antibody_esm.errors import DatasetError
from antibody_esm.features.sources import AnyExtractor, Ensemble
from antibody_esm.specs import TrainSpec
from antibody_esm.store.store import Store

if TYPE_CHECKING:
    from antibody_esm.data.antibodies import Antibodies

DROP = "drop=True (--drop) leaves them out"
"""Advice of an evaluation, see `advice`."""
_SHOWN = 5


class ModelInput:
    """The part of a fitted model that reads antibodies.

    Parameters
    ----------
    reading
        Chain, fragment, numbering and columns by which antibodies are read.
    extractor
        Source of vectors.
    store
        Store of vectors.
    """

    def __init__(self, reading: Reading, extractor: AnyExtractor, store: Store) -> None:
        self.reading = reading
        self.extractor = extractor
        self.store = store

    def read(
        self, sequences: "Antibodies", *, check: bool | None = None, named: Columns = NOT_NAMED
    ) -> tuple[list[str], Texts]:
        """Return the id of each antibody, and the text that the model reads or the reason why it is refused.

        Accepts the input of `predict`; raises DatasetError or SequenceError if the input as a whole cannot be read.
        """
        antibodies = read_antibodies(sequences, self.reading, check, named)
        return antibodies.ids, antibodies.texts

    def vectors(
        self, sequences: "Antibodies", *, check: bool | None = None, named: Columns = NOT_NAMED
    ) -> NDArray[np.float64]:
        """Return the features ``(n, dim)`` that the classifier reads; input and errors are those of `predict`.

        The columns of a table are the last features; a category is its place among those of the training set, or -1.
        """
        antibodies = read_antibodies(sequences, self.reading, check, named)
        hint = advice(antibodies, "`score_table` scores the others")
        refuse(antibodies.texts, f"are not what the model reads ({self.reading})", hint, antibodies.places)
        inputs = antibodies.inputs
        unseen = [f"row {row + 1}: {inputs.warnings[row]}" for row in self.reading.columns.unseen(inputs.codes)]
        if unseen:
            shown = "; ".join(unseen[:_SHOWN]) + ("; ..." if len(unseen) > _SHOWN else "")
            warnings.warn(f"{len(unseen)} of {len(inputs.texts)} antibodies: {shown}", UserWarning, stacklevel=3)
        return self.features(inputs)

    def features(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return the features ``(n, dim)`` of accepted antibodies."""
        return features(inputs, self.extractor, self.store)

    def reads(self, antibody: str | tuple[str, str], *, check: bool | None = None) -> str:
        """Return the text that the model reads of an antibody, in normal form.

        Raises
        ------
        SequenceError
            If it is not made of amino acids and X.
        DatasetError
            If it is another molecule, or lacks a part of the fragment; or if the model reads columns that are not
            fixed, see `Predictor.with_columns`.
        """
        texts = self.read([antibody], check=check)[1]
        if texts.reasons:
            raise DatasetError(f"not what the model reads ({self.reading}): {texts.reasons[0]}", reasons=texts.reasons)
        return texts.accepted[0]

    def features_read(self, texts: list[str]) -> NDArray[np.float64]:
        """Return the features ``(n, dim)`` of texts as the model reads them, such as mutants of `reads`.

        Columns have their fixed values, see `Predictor.with_columns`.
        """
        columns = self.reading.columns.read(None, len(texts))
        return self.features(Inputs(texts, columns.codes, [""] * len(texts)))


def advice(antibodies: Read, others: str) -> str:
    """Return the advice after a list of refused antibodies: how to score the others, or to read molecules unchecked.

    `check` is no advice where columns are the only reason.
    """
    of_columns, reasons = antibodies.columns.reasons, antibodies.texts.reasons
    molecules = any(reason != of_columns.get(row) for row, reason in reasons.items())
    return f". {others}" + ("; check=False reads what numbering does not recognise" if molecules else "")


def with_widths(spec: TrainSpec, text: str, extractor: AnyExtractor, store: Store) -> TrainSpec:
    """Return a spec whose heads, if each reads one member of an ensemble, have the numbers of these features.

    Parameters
    ----------
    text
        A sequence, or the text of a pair, whose vectors the store holds.
    extractor, store
        Source and store of the vectors.
    """
    if not getattr(spec.classifier, "per_member", False):
        return spec
    members = extractor.members if isinstance(extractor, Ensemble) else (extractor,)
    widths = tuple(vectors_of([text], member, store).shape[1] for member in members)
    return spec.model_copy(update={"classifier": spec.classifier.model_copy(update={"widths": widths})})


def features(inputs: Inputs, extractor: AnyExtractor, store: Store) -> NDArray[np.float64]:
    """Return the features of a classifier ``(n, dim)``: vectors, and columns of the table after them.

    They are float64, in which solvers converge reliably.
    """
    vectors = vectors_of(inputs.texts, extractor, store).astype(np.float64)
    return np.hstack([vectors, inputs.codes]) if inputs.codes.shape[1] else vectors
