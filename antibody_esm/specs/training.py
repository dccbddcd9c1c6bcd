"""Specs of a training run, and of all that the command line lays around it."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from antibody_esm.sequences import Chain
from antibody_esm.specs.base import Frozen, Spec
from antibody_esm.specs.ensembles import AnyExtractorSpec
from antibody_esm.specs.estimators import EstimatorSpec, LogisticRegressionSpec
from antibody_esm.specs.extractors import ExtractorSpec
from antibody_esm.specs.runtime import RuntimeSpec
from antibody_esm.specs.splits import SplitSpec


class DecisionSpec(Spec):
    """How a classifier's scores become probabilities and classes, learnt on folds of its training rows only.

    By default both are the classifier's own.

    Examples
    --------
    >>> DecisionSpec(calibration="sigmoid", threshold="balanced_accuracy")
    DecisionSpec(calibration='sigmoid', threshold='balanced_accuracy')
    """

    calibration: Literal["sigmoid", "isotonic"] | None = None
    """``sigmoid``: Platt's; ``isotonic``: any rising step function, for some hundreds of antibodies and more."""
    threshold: Annotated[float, Field(ge=0, le=1)] | Literal["balanced_accuracy"] | None = None
    """Probability from which on an antibody is predicted as 1; ``balanced_accuracy``: that at which it is highest out
    of fold."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Folds of the training rows, which keep together what `SplitSpec` does; by family or fold of the data, these."""


class TrainSpec(Spec):
    """Everything that decides what a training run finds, given the data."""

    extractor: AnyExtractorSpec
    classifier: EstimatorSpec = LogisticRegressionSpec()
    """What learns from the vectors: a classifier of labels 0 and 1, or a regressor of continuous ones."""
    split: SplitSpec = SplitSpec()
    decision: DecisionSpec = DecisionSpec()

    @model_validator(mode="after")
    def _values_need_no_decision(self) -> Self:
        if self.is_regression and self.decision != DecisionSpec():
            raise ValueError("a regressor has no probabilities to calibrate, and no threshold; leave decision out")
        return self

    @property
    def is_regression(self) -> bool:
        """True if labels are continuous."""
        return self.classifier.is_regressor

    @classmethod
    def compose(cls, overrides: Sequence[str] = ()) -> "TrainSpec":
        """Return the spec that ``antibody-train`` with these overrides would run.

        Parameters
        ----------
        overrides
            ``"model=esm2_650m"`` and ``"classifier=xgboost"`` choose presets, ``"classifier.n_estimators=200"`` sets a
            field.

        Raises
        ------
        pydantic.ValidationError
            If a group, key or value is unknown; the message names the choices.

        Examples
        --------
        >>> TrainSpec.compose(["model=esm2_8m", "split.folds=5"]).split
        SplitSpec(folds=5)
        """
        return Run.compose(overrides).train


class DataSettings(Frozen):
    """Data to train on: parameters of `antibody_esm.load_dataset`, and `check`, which `Trainer.fit` takes."""

    source: str = "boughter_flu_cdrs"
    id: str | None = None
    heavy: str | None = None
    light: str | None = None
    label: str | None = None
    groups: str | None = None
    chain: Chain | None = None
    fragment: str | None = None
    part: str | None = None
    species: tuple[str, ...] | None = None
    labels: str | None = None
    check: bool = True


class Run(Frozen):
    """One run of ``antibody-train``: a spec, and the settings that are no part of its identity."""

    train: TrainSpec
    data: DataSettings = DataSettings()
    store: Annotated[str, Field(min_length=1)] | None = "embeddings/"
    """Folder of the `EmbeddingStore`; null keeps vectors in memory."""
    output: Annotated[str, Field(min_length=1)] | None = None
    """Folder of this run's results; null makes one under ``outputs/`` by date and time."""
    runtime: RuntimeSpec = RuntimeSpec()

    def to_dict(self) -> dict[str, Any]:
        """Return the effective configuration, laid out as overrides address it."""
        tree = self.model_dump(mode="json")
        return {**tree.pop("train"), **tree}

    @classmethod
    def compose(cls, overrides: Sequence[str] = ()) -> "Run":
        """Return the run that these overrides describe. Choices of groups come first, then values, in order.

        Parameters
        ----------
        overrides
            ``group=choice`` with the groups ``model`` and ``classifier``; ``data=`` a data set's name or a table's
            path; ``branch.key=value`` for any field. Setting ``extractor.model`` starts from the defaults of
            `ExtractorSpec`.

        Raises
        ------
        pydantic.ValidationError
            If an override cannot be read, or names an unknown group, key or value; the message names the choices.
        """
        from antibody_esm.overrides import applied

        tree = applied(overrides, cls(train=TrainSpec(extractor=ExtractorSpec(model="any"))).to_dict())
        train = {name: tree.pop(name) for name in TrainSpec.model_fields}
        return cls.model_validate_json(json.dumps({"train": train, **tree}))
