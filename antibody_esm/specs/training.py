"""Specs of a training run, and settings of the command line."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, PositiveInt, ValidationError, model_validator

from antibody_esm.sequences import Chain
from antibody_esm.specs.base import Frozen, Spec, with_advice
from antibody_esm.specs.decisions import DecisionSpec
from antibody_esm.specs.ensembles import (
    AnyExtractorSpec,
    EnsembleSpec,
    columns_of,
    portable,
    with_columns,
    without_adapter,
    without_columns,
)
from antibody_esm.specs.estimators import ClassifierSpec, EstimatorSpec, LogisticRegressionSpec, RegressorSpec, heads_of
from antibody_esm.specs.extractors import ExtractorSpec
from antibody_esm.specs.finetuning import FineTuneSpec
from antibody_esm.specs.runtime import RuntimeSpec
from antibody_esm.specs.splits import SplitSpec
from antibody_esm.specs.tunable import only_model, refuse_unsuited
from antibody_esm.specs.tuning import Choice, TuneSpec, combinations, described


class TrainSpec(Spec):
    """Settings that, together with the data, determine the result of a training run."""

    extractor: AnyExtractorSpec
    classifier: EstimatorSpec = LogisticRegressionSpec()
    """Classifier of labels 0 and 1, or regressor of continuous labels."""
    split: SplitSpec = SplitSpec()
    decision: DecisionSpec = DecisionSpec()
    use_columns: bool = True
    """True adds the columns of the data (`Dataset.columns`) to the extractor, unless it names columns itself."""
    pca: PositiveInt | None = None
    """Number of principal components of the training rows that the classifier reads in place of the vectors, after
    their scaling; None for the vectors. Columns stay as they are."""
    tune: TuneSpec | None = None
    """Fields that are chosen inside the training folds; None fits the other fields as they are."""
    finetune: FineTuneSpec | None = None
    """Fine-tuning of the language model on the training rows of each fold; None reads the vectors of the model as it
    is."""

    later: ClassVar[frozenset[str]] = frozenset({"use_columns", "pca", "tune", "finetune"})

    @model_validator(mode="after")
    def _columns_are_used(self) -> Self:
        if not self.use_columns and columns_of(self.extractor):
            raise ValueError("use_columns=False leaves all columns out, but the extractor names columns")
        return self

    @model_validator(mode="after")
    def _values_need_no_decision(self) -> Self:
        if self.is_regression and self.decision != DecisionSpec():
            raise ValueError("a regressor has no probabilities and no threshold; leave decision out")
        return self

    @model_validator(mode="after")
    def _heads_have_members(self) -> Self:
        _check_heads(self.classifier, self.extractor)
        return self

    @model_validator(mode="after")
    def _grid_fits(self) -> Self:
        if self.tune is not None:
            for choice, fields in self._combinations(self.tune).items():
                try:
                    _check_heads(fields.get("classifier", self.classifier), self.extractor)
                except ValueError as error:
                    raise ValueError(f"{described(choice)} is no valid combination: {error}") from None
        return self

    @model_validator(mode="after")
    def _model_is_fine_tuned(self) -> Self:
        if self.finetune is not None:
            refuse_unsuited(self.finetune, only_model(self.extractor))
            if self.tune is not None:
                raise ValueError(
                    "finetune and tune exclude each other: each combination would be fine-tuned on each inner fold"
                )
            if any(head.kind == "linear_svm" for head in heads_of(self.classifier)):
                raise ValueError(
                    "linear_svm divides its training rows to calibrate its probabilities, after the language model was "
                    "fine-tuned on all of them; use logreg, or svr for numbers"
                )
        return self

    @property
    def is_regression(self) -> bool:
        """True if labels are continuous."""
        return self.classifier.is_regressor

    @property
    def divides_again(self) -> bool:
        """True if a fit divides its rows: for a decision, the choice of a penalty, or that of an epoch."""
        return self.decision != DecisionSpec() or self.chooses_penalty or self.finetune is not None

    @property
    def chooses_penalty(self) -> bool:
        """True if the penalty of a regressor is chosen on folds of the training rows."""
        return any(getattr(head, "alpha", None) == "cv" for head in heads_of(self.classifier))

    @property
    def frozen(self) -> "TrainSpec":
        """The spec without fine-tuning: the classifier reads the vectors of the language model as it is."""
        return self.model_copy(update={"finetune": None, "extractor": without_adapter(self.extractor)})

    @property
    def untuned(self) -> "TrainSpec":
        """The spec without `tune`, whose fields are as they are."""
        return self.model_copy(update={"tune": None})

    def portable(self) -> "TrainSpec":
        """Return the spec without paths of local folders, see `ExtractorSpec.portable`."""
        return self.model_copy(update={"extractor": portable(self.extractor)})

    @property
    def candidates(self) -> "dict[Choice, TrainSpec]":
        """The spec of each combination of the grid, without `tune`; the spec itself if it has no grid."""
        if self.tune is None:
            return {(): self}
        columns = columns_of(self.extractor)
        every = {}
        for choice, fields in self._combinations(self.tune).items():
            if columns and "extractor" in fields:
                fields = {**fields, "extractor": with_columns(fields["extractor"], columns)}
            every[choice] = self.untuned.model_copy(update=fields)
        return every

    def _combinations(self, tune: TuneSpec) -> dict[Choice, dict[str, Any]]:
        return combinations(tune, without_columns(self.extractor), self.classifier, self.decision)

    @classmethod
    def compose(cls, overrides: Sequence[str] = ()) -> "TrainSpec":
        """Return the spec that ``antibody-train`` runs with these overrides.

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


def _check_heads(classifier: ClassifierSpec | RegressorSpec, extractor: AnyExtractorSpec) -> None:
    """Raise ValueError if a classifier has a head for each member of an ensemble, and these do not fit."""
    if getattr(classifier, "per_member", False):
        heads = len(heads_of(classifier))
        if not isinstance(extractor, EnsembleSpec) or extractor.combine != "concat":
            raise ValueError("per_member=True requires an EnsembleSpec with combine='concat'")
        if heads != len(extractor.of_sequences):
            raise ValueError(f"{heads} heads do not fit the {len(extractor.of_sequences)} members of the ensemble")


class DataSettings(Frozen):
    """Training data: parameters of `antibody_esm.load_dataset`, and `check` of `Trainer.fit`."""

    source: str = "boughter_flu_cdrs"
    id: str | None = None
    heavy: str | None = None
    light: str | None = None
    label: str | tuple[str, ...] | None = None
    groups: str | None = None
    fold: str | None = None
    chain: Chain | None = None
    fragment: str | None = None
    part: str | None = None
    species: tuple[str, ...] | None = None
    labels: str | None = None
    layout: str | None = None
    sheet: str | None = None
    columns: tuple[str, ...] | None = None
    higher_is_better: bool | dict[str, bool] | None = None
    drop: bool = False
    check: bool = True


class Run(Frozen):
    """One run of ``antibody-train``: a spec, and settings that do not belong to its identity."""

    train: TrainSpec
    data: DataSettings = DataSettings()
    store: Annotated[str, Field(min_length=1)] | None = "embeddings/"
    """Folder of the `EmbeddingStore`; null keeps vectors in memory."""
    output: Annotated[str, Field(min_length=1)] | None = None
    """Folder of this run's results; null creates one under ``outputs/``, named by date and time."""
    curve: bool = False
    """True adds the learning curve to the report, see `antibody_esm.Trainer.learning_curve`."""
    runtime: RuntimeSpec = RuntimeSpec()
    random_seeds: Annotated[int, Field(ge=0, le=3)] = 1
    """Number of baselines in the report whose language model has random weights, each with another seed."""

    def to_dict(self) -> dict[str, Any]:
        """Return the effective configuration as a tree with the keys of overrides."""
        tree = self.model_dump(mode="json")
        return {**tree.pop("train"), **tree}

    @classmethod
    def compose(cls, overrides: Sequence[str] = ()) -> "Run":
        """Return the run of these overrides. Choices of groups are applied first, then values, in order.

        Parameters
        ----------
        overrides
            ``group=choice`` with the groups ``model`` and ``classifier``; ``data=`` with the name of a data set or the
            path of a table; ``branch.key=value`` for any field. ``extractor.model=`` starts from the defaults of
            `ExtractorSpec`.

        Raises
        ------
        pydantic.ValidationError
            If an override cannot be read, or names an unknown group, key or value; the message names the choices.
        """
        from antibody_esm.overrides import applied

        tree = applied(overrides, cls(train=TrainSpec(extractor=ExtractorSpec(model="any"))).to_dict())
        train = {name: tree.pop(name) for name in TrainSpec.model_fields}
        try:
            return cls.model_validate_json(json.dumps({"train": train, **tree}))
        except ValidationError as error:
            raise with_advice(error) from error
