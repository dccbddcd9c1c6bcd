"""Frozen specifications of everything that changes a number, each with a stable fingerprint.

What must not change a number lives in `RuntimeSpec`, which has no fingerprint: the type decides, so there is no list of
exclusions to forget.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from antibody_esm.choices import Pooling as Pooling
from antibody_esm.choices import Region as Region

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(gt=0, le=1)]
ClassWeight = Literal["balanced"] | None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    def __repr_args__(self) -> Any:
        # What differs from the default, as scikit-learn does: short, and evaluates to an equal spec.
        fields = type(self).model_fields
        return [(name, value) for name, value in self if fields[name].is_required() or value != fields[name].default]

    def __str__(self) -> str:
        return repr(self)  # pydantic's own str() is made for people only


class Spec(_Frozen):
    """What identifies a computation: two equal specs give equal numbers.

    Specs are immutable and hashable, refuse unknown fields, and can be written down: ``eval(repr(spec)) == spec``.
    """

    format: Literal[1] = 1
    """Version of the algorithm behind the spec. Raise it when the same fields begin to give other numbers: every
    fingerprint of the type then changes, and nothing stored before is used again."""

    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that were added after fingerprints had been stored. While such a field has its default it is left out of
    the text that is hashed, so that what was stored before stays valid."""

    @property
    def canonical_json(self) -> str:
        """The text that is hashed: type and all fields, sorted, without white space, in ASCII."""
        fields = self.model_dump(mode="json")
        _drop_later_defaults(self, fields)
        return json.dumps(
            {"type": type(self).__name__, **_canonical(fields)},
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of `canonical_json`, 64 hexadecimal digits; reads no file, same in every process and platform."""
        return hashlib.sha256(self.canonical_json.encode("ascii")).hexdigest()


def _drop_later_defaults(spec: Spec, fields: dict[str, Any]) -> None:
    """Remove later fields that have their default, also of the specs inside this one."""
    for name, value in spec:
        if name in spec.later and value == type(spec).model_fields[name].default:
            del fields[name]
        elif isinstance(value, Spec):
            _drop_later_defaults(value, fields[name])
        elif isinstance(value, tuple):
            for member, of_member in zip(value, fields[name], strict=True):
                if isinstance(member, Spec):
                    _drop_later_defaults(member, of_member)


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value + 0.0 if isinstance(value, float) else value  # -0.0 equals 0.0, so both must print alike


Precision = Literal["float32", "bfloat16", "float16", "int8"]
Storage = Literal["float32", "float16", "int8"]
Pairs = Literal["apart", "joined"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ResolvedExtractorSpec(Spec):
    """An `ExtractorSpec` in which names have become bytes: the address of rows in a store.

    `ExtractorSpec.resolve` makes it; users seldom do.
    """

    digest: Digest
    """SHA-256 over the names and bytes of the weight, config and tokenizer files."""
    layer: NonNegativeInt
    pooling: Pooling = "mean"
    region: Region = "all"
    numbering: str | None = None
    """What numbers the residues of a region, and its version; None for all residues."""
    special_tokens: Literal["exclude", "include"] = "exclude"
    precision: Precision = "float32"
    storage: Storage = "float32"
    truncate_to: PositiveInt | None = None
    """Residues a sequence is cut to; None where nothing is ever cut."""
    pairs: Pairs = "apart"

    def resolve(self) -> Self:
        """Return self."""
        return self


class ExtractorSpec(Spec):
    """Language model, and the vector that it makes of a sequence.

    Examples
    --------
    >>> ExtractorSpec(model="facebook/esm2_t6_8M_UR50D", layer=4)
    ExtractorSpec(model='facebook/esm2_t6_8M_UR50D', layer=4)
    """

    later: ClassVar[frozenset[str]] = frozenset({"species"})

    model: Annotated[str, Field(min_length=1)]
    """Name on the Hugging Face hub, a local folder, or ``"antiberty"`` (weights from the ``[quickstart]`` extra)."""
    revision: str | None = None
    """Branch, tag or commit on the hub; None is its main branch. Local folders have none."""
    digest: Digest | None = None
    """Pin the files to these bytes: any others are a CheckpointError. `pin` fills it in."""
    layer: int | None = None
    """Hidden state, counted as transformers does: 0 the embeddings, 1 after the first layer, None or -1 the last."""
    pooling: Pooling = "mean"
    """How residue vectors become one: their mean, maximum or standard deviation (of a population) per dimension, or the
    first special token's vector."""
    region: Region = "all"
    """Which residues take part, by IMGT numbering of every variable domain in the sequence. The model reads the whole
    sequence all the same. A sequence without such a region is a SequenceError."""
    special_tokens: Literal["exclude", "include"] = "exclude"
    """Whether mean and max run over the tokens which the tokenizer added (start, end) as well."""
    precision: Precision = "float32"
    """Number format of weights and arithmetic; vectors are returned as float32 always. int8 is for BERT and ESM models
    on a CPU: weights are scaled by output and states by token, so a row does not depend on its batch."""
    storage: Storage = "float32"
    """Number format of a vector once it is computed: float16 takes half the disk, int8 (with a scale for each vector) a
    quarter. The vector is rounded whether or not it is stored, so a store never changes a result."""
    max_length: PositiveInt | None = None
    """Longest sequence in residues; None is what the model was built for."""
    truncation: bool = False
    """Cut longer sequences to `max_length` instead of refusing them."""
    pairs: Pairs = "apart"
    """How the two chains of an antibody are embedded: ``apart``, one by one, with their vectors side by side, heavy
    first; or ``joined`` in one sequence by the separator of the model's family, for models that were trained on pairs.
    A single chain has the same vector either way."""
    species: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Species whose profiles number the residues of a region. None: those of the data set where a `Trainer` runs, else
    human and mouse."""

    @model_validator(mode="after")
    def _region_has_residues(self) -> Self:
        if self.region != "all" and (self.pooling == "cls" or self.special_tokens == "include"):
            raise ValueError("a region consists of residues: it goes with mean, max and std, without special tokens")
        return self

    @model_validator(mode="after")
    def _no_pair_is_cut(self) -> Self:
        if self.pairs == "joined" and self.truncation:
            raise ValueError("a joined pair is never cut: it would lose its light chain; set truncation=False")
        return self

    def resolve(self) -> ResolvedExtractorSpec:
        """Return the address of this spec's rows, reading the model's files.

        Raises
        ------
        CheckpointError
            If the files cannot be found or read, are not the pinned ones, or have no such layer.
        """
        from antibody_esm.plm.resolution import resolve

        return resolve(self)

    @property
    def address(self) -> str:
        """Fingerprint under which a store keeps this spec's rows, reading the model's files."""
        return self.resolve().fingerprint

    def views(
        self,
        layers: Sequence[int | None] = (None,),
        poolings: Sequence[Pooling] = ("mean",),
        regions: Sequence[Region] = ("all",),
    ) -> "list[ExtractorSpec]":
        """Return the same model's specs of every layer, pooling and region; ``cls`` stands for all residues only.

        Examples
        --------
        >>> len(ExtractorSpec(model="m").views([11, 12], ["mean", "cls"], ["all", "cdr3"]))
        6
        """
        return [
            self.model_validate({**dict(self), "layer": layer, "pooling": pooling, "region": region})
            for layer in layers
            for pooling in poolings
            for region in regions
            if pooling != "cls" or region == "all"
        ]

    def pin(self) -> "ExtractorSpec":
        """Return the same spec with digest and layer filled in, so that a store answers even where no weights are."""
        return self.pinned_to(self.resolve())

    def numbered_by(self, species: Sequence[str]) -> "ExtractorSpec":
        """Return the spec whose region, if it has one, is numbered by the profiles of these species.

        Raises
        ------
        ValueError
            If the spec names other species.
        """
        if self.region == "all" or (tuple(species) == _USUAL_SPECIES and self.species is None):
            return self
        if self.species is not None and set(self.species) != set(species):
            ours, theirs = (", ".join(sorted(names)) for names in (self.species, species))
            raise ValueError(f"extractor.species is {ours}, and the data are numbered by {theirs}; leave it out")
        return self.model_copy(update={"species": tuple(species)})

    def pinned_to(self, resolved: ResolvedExtractorSpec) -> "ExtractorSpec":
        """Return the same spec with digest and layer as they were resolved."""
        limit = resolved.truncate_to or self.max_length
        return self.model_copy(update={"digest": resolved.digest, "layer": resolved.layer, "max_length": limit})


_USUAL_SPECIES = ("human", "mouse")
"""Species by which regions are numbered where none are named."""

Descriptor = Literal[
    "length", "isoelectric_point", "net_charge", "hydrophobicity", "composition", "kmers", "protscale", "aaindex"
]
PKSet = Literal["bjellqvist", "emboss"]
HydrophobicityScale = Literal["kyte_doolittle", "eisenberg", "engelman", "fauchere", "black_mould"]


class DescriptorSpec(Spec):
    """Which numbers are computed from a sequence alone, without a language model; see `antibody_esm.descriptors`.

    Examples
    --------
    >>> DescriptorSpec(descriptors=("length", "net_charge"), ph=6.0)
    DescriptorSpec(descriptors=('length', 'net_charge'), ph=6.0)
    """

    kind: Literal["descriptors"] = "descriptors"
    descriptors: Annotated[tuple[Descriptor, ...], Field(min_length=1)] = (
        "length",
        "isoelectric_point",
        "net_charge",
        "protscale",
        "aaindex",
    )
    """In the order of the columns. ``protscale`` and ``aaindex``: the mean over residues of each of their scales."""
    pk: PKSet = "bjellqvist"
    """Dissociation constants for isoelectric point and net charge."""
    ph: Annotated[float, Field(ge=0, le=14)] = 7.4
    """At which the net charge is taken."""
    hydrophobicity: HydrophobicityScale = "kyte_doolittle"
    """The scale of ``hydrophobicity``."""
    kmer: Annotated[int, Field(ge=1, le=3)] = 3
    """Residues of the longest words that ``kmers`` counts; shorter ones are counted too."""
    kmer_values: Literal["frequency", "count"] = "frequency"

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.descriptors)) < len(self.descriptors):
            raise ValueError("each descriptor is named once")
        return self

    def pin(self) -> Self:
        """Return self: nothing outside of the spec changes a number."""
        return self

    def numbered_by(self, species: Sequence[str]) -> Self:
        """Return self: no residue is numbered."""
        return self

    @property
    def address(self) -> str:
        """The fingerprint, as there are no files."""
        return self.fingerprint


def _kind_of_extractor(value: Any) -> str:
    if isinstance(value, Spec):
        return {"DescriptorSpec": "descriptors", "EnsembleSpec": "ensemble"}.get(type(value).__name__, "model")
    fields = value if isinstance(value, dict) else {}
    return "ensemble" if "members" in fields else "descriptors" if "kind" in fields else "model"


Member = Annotated[
    Annotated[ExtractorSpec, Tag("model")] | Annotated[DescriptorSpec, Tag("descriptors")],
    Discriminator(_kind_of_extractor),
]


class EnsembleSpec(Spec):
    """Several language models as one: the mean of their vectors, or vectors side by side, descriptors among them.

    The vectors of each member are computed, stored and looked up as its own spec says.

    Examples
    --------
    >>> members = tuple(ExtractorSpec(model=f"facebook/esm1v_t33_650M_UR90S_{seed}") for seed in (1, 2))
    >>> EnsembleSpec(members=members).combine
    'mean'
    """

    members: Annotated[tuple[Member, ...], Field(min_length=2)]
    combine: Literal["mean", "concat"] = "mean"
    """``mean`` needs language models with vectors of one length; ``concat`` puts vectors side by side, in order."""

    @model_validator(mode="after")
    def _members_differ(self) -> Self:
        if len(set(self.members)) < len(self.members):
            raise ValueError("a member is there twice")
        if self.combine == "mean" and not all(isinstance(member, ExtractorSpec) for member in self.members):
            raise ValueError("descriptors have no mean with vectors; put them side by side: combine='concat'")
        return self

    def numbered_by(self, species: Sequence[str]) -> "EnsembleSpec":
        """Return the same spec with the regions of every member numbered so; see `ExtractorSpec.numbered_by`."""
        return self.model_copy(update={"members": tuple(member.numbered_by(species) for member in self.members)})

    def pin(self) -> "EnsembleSpec":
        """Return the same spec with every member pinned; see `ExtractorSpec.pin`."""
        return self.model_copy(update={"members": tuple(member.pin() for member in self.members)})

    @property
    def address(self) -> str:
        """Fingerprint of the pinned spec, reading the models' files."""
        return self.pin().fingerprint


AnyExtractorSpec = Annotated[
    Annotated[ExtractorSpec, Tag("model")]
    | Annotated[DescriptorSpec, Tag("descriptors")]
    | Annotated[EnsembleSpec, Tag("ensemble")],
    Discriminator(_kind_of_extractor),
]
"""One language model, numbers that need none, or several of these as one."""


class LogisticRegressionSpec(Spec):
    """Logistic regression with an L2 penalty."""

    kind: Literal["logreg"] = "logreg"
    C: PositiveFloat = 1.0
    """Inverse strength of the penalty."""
    tol: PositiveFloat = 1e-8
    """When the solver stops. With scikit-learn's 1e-4, probabilities differ by .01 where vectors differ in their last
    digits, as they do between machines."""
    max_iter: PositiveInt = 10_000
    solver: Literal["lbfgs", "newton-cholesky", "liblinear", "saga"] = "lbfgs"
    class_weight: ClassWeight = None
    standardize: bool = False
    """Scale every feature to mean 0 and variance 1 on the training folds."""
    random_state: Seed = 0


class XGBoostSpec(Spec):
    """Gradient-boosted trees (doi:10.1145/2939672.2939785)."""

    kind: Literal["xgboost"] = "xgboost"
    n_estimators: PositiveInt = 100
    max_depth: PositiveInt = 6
    learning_rate: Share = 0.3
    min_child_weight: NonNegativeFloat = 1.0
    subsample: Share = 1.0
    colsample_bytree: Share = 1.0
    reg_alpha: NonNegativeFloat = 0.0
    reg_lambda: NonNegativeFloat = 1.0
    scale_pos_weight: PositiveFloat = 1.0
    random_state: Seed = 0


class RandomForestSpec(Spec):
    """Random forest (doi:10.1023/A:1010933404324)."""

    kind: Literal["random_forest"] = "random_forest"
    n_estimators: PositiveInt = 100
    max_depth: PositiveInt | None = None
    max_features: Literal["sqrt", "log2"] | Share = "sqrt"
    min_samples_leaf: PositiveInt = 1
    class_weight: ClassWeight = None
    random_state: Seed = 0


class GaussianProcessSpec(Spec):
    """Gaussian process classification with an RBF kernel, whose amplitude and length scale are fitted."""

    kind: Literal["gaussian_process"] = "gaussian_process"
    length_scale: PositiveFloat | None = None
    """Where the fit of the length scale begins; None is the square root of the number of features."""
    n_restarts_optimizer: NonNegativeInt = 0
    standardize: bool = True
    random_state: Seed = 0


class LinearSVMSpec(Spec):
    """Linear support vector machine; probabilities by Platt scaling within the training data."""

    kind: Literal["linear_svm"] = "linear_svm"
    C: PositiveFloat = 1.0
    max_iter: PositiveInt = 10_000
    class_weight: ClassWeight = None
    calibration_folds: Annotated[int, Field(ge=2)] = 5
    standardize: bool = True
    random_state: Seed = 0


class KNeighborsSpec(Spec):
    """Vote of the nearest training antibodies in embedding space."""

    kind: Literal["knn"] = "knn"
    n_neighbors: PositiveInt = 5
    weights: Literal["uniform", "distance"] = "uniform"
    metric: Literal["euclidean", "cosine", "manhattan"] = "euclidean"
    standardize: bool = False


class RidgeSpec(Spec):
    """Linear regression with an L2 penalty, for continuous labels."""

    kind: Literal["ridge"] = "ridge"
    alpha: PositiveFloat = 1.0
    """Strength of the penalty."""
    standardize: bool = True


class ElasticNetSpec(Spec):
    """Linear regression with L1 and L2 penalties (doi:10.1111/j.1467-9868.2005.00503.x), for continuous labels.

    Labels are scaled to mean 0 and variance 1 on the training folds, so that the penalty does not depend on their unit.
    """

    kind: Literal["elastic_net"] = "elastic_net"
    alpha: PositiveFloat = 0.1
    """Strength of both penalties."""
    l1_ratio: Share = 0.5
    tol: PositiveFloat = 1e-6
    max_iter: PositiveInt = 10_000
    standardize: bool = True


class XGBoostRegressorSpec(Spec):
    """Gradient-boosted trees (doi:10.1145/2939672.2939785), for continuous labels."""

    kind: Literal["xgboost_regressor"] = "xgboost_regressor"
    n_estimators: PositiveInt = 100
    max_depth: PositiveInt = 6
    learning_rate: Share = 0.3
    min_child_weight: NonNegativeFloat = 1.0
    subsample: Share = 1.0
    colsample_bytree: Share = 1.0
    reg_alpha: NonNegativeFloat = 0.0
    reg_lambda: NonNegativeFloat = 1.0
    random_state: Seed = 0


class SVRSpec(Spec):
    """Support vector regression, for continuous labels, which are scaled as for `ElasticNetSpec`."""

    kind: Literal["svr"] = "svr"
    C: PositiveFloat = 1.0
    epsilon: NonNegativeFloat = 0.1
    """Errors up to this many standard deviations of the labels cost nothing."""
    kernel: Literal["rbf", "linear"] = "rbf"
    gamma: Literal["scale", "auto"] | PositiveFloat = "scale"
    standardize: bool = True


class GaussianProcessRegressorSpec(Spec):
    """Gaussian process regression for continuous labels, which are scaled as for `ElasticNetSpec`.

    The kernel is an RBF and white noise, whose amplitudes and length scale are fitted.
    """

    kind: Literal["gaussian_process_regressor"] = "gaussian_process_regressor"
    length_scale: PositiveFloat | None = None
    """Where the fit of the length scale begins; None is the square root of the number of features."""
    n_restarts_optimizer: NonNegativeInt = 0
    standardize: bool = True
    random_state: Seed = 0


ClassifierSpec = (
    LogisticRegressionSpec | XGBoostSpec | RandomForestSpec | GaussianProcessSpec | LinearSVMSpec | KNeighborsSpec
)
"""Any classifier."""

RegressorSpec = RidgeSpec | ElasticNetSpec | XGBoostRegressorSpec | SVRSpec | GaussianProcessRegressorSpec
"""Any regressor: what learns continuous labels."""

EstimatorSpec = Annotated[ClassifierSpec | RegressorSpec, Field(discriminator="kind")]
"""Any classifier or regressor; in JSON the field ``kind`` says which."""


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
        """Whether labels are continuous."""
        return isinstance(self.classifier, RegressorSpec)

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
        from antibody_esm.cli.compose import compose

        return compose(overrides).train


class RuntimeSpec(_Frozen):
    """How to run: everything that must not change a number, and so has no fingerprint."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """``cuda`` is every CUDA device, with one worker each; ``auto`` is the first one if there is any, else the CPU."""
    workers: PositiveInt | None = None
    """Threads that run the language model on a CPU, each with one torch thread; None is one per usable core."""
    batch_tokens: PositiveInt | None = None
    """Tokens in a batch, at most; a batch has two sequences at least. None is 1024 on a CPU and 16384 elsewhere; a
    batch for which a device has not the memory is halved."""
    progress: bool | None = None
    """Show a progress bar on work longer than a second; None is only where somebody looks (terminal, notebook)."""
