"""Baselines: predictions from sequences that need no language model.

A baseline is fitted on training rows only. Baselines are the majority class, the label of the nearest training
sequence, and logistic regression. Logistic regression reads one number (length, isoelectric point, net charge at pH
7.4, hydrophobicity of Kyte and Doolittle), the amino acid composition, k-mers of one to three residues, the V gene, the
distance to germline genes, the residue at each IMGT position, or published biophysical descriptors. For continuous
labels, the mean replaces the majority class, and ridge regression replaces logistic regression. The baselines of random
weights and of the frozen model belong to a pipeline: `antibody_esm.untrained`.

Pairs have the features of both chains side by side: two lengths, two net charges, the k-mers of each chain, the V gene
of each chain. The nearest pair is that of the highest identity over both chains.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import build, one_blas_thread
from antibody_esm.data.column_reading import ColumnReading
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.reading import Reading
from antibody_esm.descriptors import UNKNOWN, describe, germline_genes
from antibody_esm.errors import RECOVERABLE, DatasetError, in_one_line
from antibody_esm.evaluation.by_position import germline_distance, residues_by_position
from antibody_esm.evaluation.cross_validation import CrossValidation, cross_validate
from antibody_esm.evaluation.metrics import score, score_continuous
from antibody_esm.evaluation.nested import Candidate
from antibody_esm.evaluation.splits import Division
from antibody_esm.numbering import SPECIES
from antibody_esm.specs import ColumnSpec, Descriptor, DescriptorSpec, LogisticRegressionSpec, RidgeSpec, SplitSpec

BaselineName = Literal[
    "majority",
    "length",
    "isoelectric_point",
    "net_charge",
    "hydrophobicity",
    "composition",
    "kmers",
    "germline",
    "germline_distance",
    "positions",
    "biophysical",
    "nearest_neighbour",
    "random_weights",
    "random_weights_1",
    "random_weights_2",
    "columns",
    "frozen",
]
BASELINES: tuple[BaselineName, ...] = get_args(BaselineName)[: get_args(BaselineName).index("random_weights")]
"""Names of the baselines that read sequences, in the order in which they are reported."""

T = TypeVar("T")


@dataclass(frozen=True)
class Baseline:
    """Features of sequences, with a classifier that reads them."""

    name: BaselineName
    features: Callable[[Sequence[str]], Any]
    """From ``n`` sequences, or texts of pairs, to ``n`` rows, each of which depends on its own sequence only."""
    classifier: Any
    """Unfitted scikit-learn pipeline."""
    columns: ColumnReading = field(default_factory=ColumnReading)
    """Columns of a table that take the place of sequences."""


class Prediction(NamedTuple):
    """Predictions of a fitted baseline for a data set."""

    prediction: NDArray[Any]
    """``(n,)``, 0 or 1; predicted values for continuous labels."""
    probability: NDArray[np.float64] | None
    """``(n,)``, of class 1; None for continuous labels."""
    scores: dict[str, float]
    """Metric to its value; NaN where it is not defined."""


@dataclass(frozen=True)
class Results(Generic[T]):
    """Results by the name of the baseline."""

    found: dict[BaselineName, T]
    absent: dict[BaselineName, str]
    """Reason why a baseline is absent."""


def _sparse(values: NDArray[np.float64]) -> Any:
    """Return a sparse matrix, with the short indices that scikit-learn's solvers read."""
    from scipy.sparse import csr_array

    matrix = csr_array(values)
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return matrix


def baseline(name: BaselineName, *, continuous: bool = False, species: Sequence[str] = SPECIES) -> Baseline:
    """Return a baseline by its name, for labels 0 and 1 or for continuous ones.

    Parameters
    ----------
    species
        Species of V genes, as `antibody_esm.numbering.number` takes them.

    Raises
    ------
    ValueError
        If no baseline has that name.

    Examples
    --------
    >>> baseline("length").features(["EVQLV", "QV"]).tolist()
    [[5.0], [2.0]]
    >>> baseline("length").features(["EVQLV|DI", "QV|DIQ"]).tolist()
    [[5.0, 2.0], [2.0, 3.0]]
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    def described(*descriptors: Descriptor) -> Baseline:
        spec = DescriptorSpec(descriptors=descriptors)
        return Baseline(name, lambda sequences: describe(sequences, spec).values, linear(standardize=True))

    def linear(standardize: bool) -> Any:
        return build((RidgeSpec if continuous else LogisticRegressionSpec)(standardize=standardize), 1)

    match name:
        case "majority":
            constant = DummyRegressor() if continuous else DummyClassifier(strategy="prior")
            return Baseline(name, lambda sequences: np.zeros((len(sequences), 1)), constant)
        case "length" | "isoelectric_point" | "net_charge" | "hydrophobicity" | "composition":
            return described(name)
        case "biophysical":
            return described(*DescriptorSpec().descriptors)
        case "kmers":
            # Counts have one unit, and scaling would give much weight to k-mers that occur once.
            spec = DescriptorSpec(descriptors=("kmers",), kmer_values="count")
            counts: Callable[[Sequence[str]], Any] = lambda sequences: describe(sequences, spec).values  # noqa: E731
            if continuous:
                return Baseline(name, counts, linear(standardize=False))
            # A sequence has about 300 of 8,420 k-mers: Newton's steps over these few take a tenth of the time of lbfgs.
            few = LogisticRegression(solver="newton-cg", tol=1e-8, max_iter=10_000)
            return Baseline(name, lambda sequences: _sparse(counts(sequences)), few)
        case "germline":
            columns = OneHotEncoder(handle_unknown="ignore")  # a gene that no training row has: no column
            of_columns = Ridge() if continuous else LogisticRegression(tol=1e-8, max_iter=10_000)
            genes: Callable[[Sequence[str]], Any] = lambda sequences: germline_genes(sequences, species=species)  # noqa: E731
            return Baseline(name, genes, make_pipeline(columns, of_columns))
        case "germline_distance":
            from sklearn.impute import SimpleImputer

            distance: Callable[[Sequence[str]], Any] = lambda sequences: germline_distance(sequences, species=species)  # noqa: E731
            filled = SimpleImputer(keep_empty_features=True)  # by the mean of the training rows
            return Baseline(name, distance, make_pipeline(filled, linear(standardize=True)))
        case "positions":
            from sklearn.feature_extraction import DictVectorizer

            residues: Callable[[Sequence[str]], Any] = lambda sequences: np.array(  # noqa: E731
                residues_by_position(sequences, species=species), object
            )
            # A residue that no training row has at its position: no column.
            few = LogisticRegression(solver="newton-cg", tol=1e-8, max_iter=10_000)
            return Baseline(name, residues, make_pipeline(DictVectorizer(), Ridge() if continuous else few))
        case "nearest_neighbour":
            from antibody_esm.evaluation.nearest import NearestSequence, NearestSequenceRegressor

            nearest = NearestSequenceRegressor() if continuous else NearestSequence()
            return Baseline(name, lambda sequences: np.array(list(sequences), object), nearest)
    raise ValueError(f"unknown baseline {name!r}; choose one of {', '.join(BASELINES)}")


def cross_validate_baselines(
    data: Dataset,
    split: SplitSpec | None = None,
    names: Sequence[BaselineName] = BASELINES,
    *,
    columns: Sequence[ColumnSpec] = (),
    continuous: bool = False,
    workers: int | None = None,
) -> Results[CrossValidation]:
    """Return the cross-validation of baselines, on the same folds as any other classifier.

    A baseline that cannot be computed is absent, with the reason; the others are there.

    Parameters
    ----------
    data
        With labels 0 and 1, or continuous ones. Baselines read `Dataset.sequences`.
    split
        Split of the data; None is ten stratified folds.
    names
        Names of the baselines.
    columns
        Columns of the data; if there are any, another baseline, ``columns``, reads these alone.
    continuous
        True if labels are continuous, and baselines are regressors.
    workers
        Folds at a time; None is one per usable core. It changes no number.

    Raises
    ------
    DatasetError
        If labels are of the wrong kind, or the split does not fit the data.

    Examples
    --------
    >>> from antibody_esm import load_dataset
    >>> data = load_dataset("boughter_flu_cdrs")
    >>> results = cross_validate_baselines(data, SplitSpec(folds=3), ["length", "germline"])
    >>> results.found["length"].scores["roc_auc"].shape
    (3,)
    >>> results.absent
    {'germline': 'no variable domain is recognised in any sequence'}
    """
    split = split or SplitSpec()
    label, division = label_of(data, continuous), Division.of(split, data)
    division.folds(label, continuous=continuous)  # raises errors that concern all baselines

    def validated(made: Baseline) -> CrossValidation:
        features, best_high = _features(made, data), data.higher_is_better is not False
        return cross_validate(made.classifier, features, label, division, workers, higher_is_better=best_high)

    return _each(_baselines(data, names, columns, continuous), validated)


@dataclass(frozen=True)
class FittedBaselines:
    """Baselines that were fitted on a training set."""

    fitted: dict[BaselineName, Baseline]
    """With the classifier fitted."""
    absent: dict[BaselineName, str]
    """Reason why a baseline is absent."""
    reading: Reading
    """Chain, fragment and species of the training set."""
    continuous: bool = False
    """True if labels are continuous."""

    def score(self, data: Dataset) -> Results[Prediction]:
        """Return predictions and scores on other data, on which nothing is fitted.

        Raises
        ------
        DatasetError
            If labels are of the wrong kind, or the data are of another chain or fragment than the training set.
        """
        if not self.reading.same_part(data.reading):
            raise DatasetError(f"baselines of {self.reading} sequences cannot be scored on {data.reading} ones")
        label = label_of(data, self.continuous)

        def predicted(fitted: Baseline) -> Prediction:
            features = _features(fitted, data)
            with one_blas_thread():
                prediction = fitted.classifier.predict(features)
                probability = None if self.continuous else fitted.classifier.predict_proba(features)[:, 1]
            if probability is not None:
                return Prediction(prediction, probability, score(label, prediction, probability))
            values = score_continuous(label, prediction, higher_is_better=data.higher_is_better is not False)
            return Prediction(prediction, None, values)

        results = _each(list(self.fitted.values()), predicted)
        return Results(results.found, self.absent | results.absent)


def fit_baselines(
    data: Dataset,
    names: Sequence[BaselineName] = BASELINES,
    *,
    columns: Sequence[ColumnSpec] = (),
    continuous: bool = False,
) -> FittedBaselines:
    """Return baselines fitted on all of a data set. Raises as `cross_validate_baselines` does.

    Examples
    --------
    >>> from antibody_esm import load_dataset
    >>> data = load_dataset("boughter_flu_cdrs")
    >>> fitted = fit_baselines(data.subset(range(0, 358, 2)), ["composition"])
    >>> fitted.score(data.subset(range(1, 358, 2))).found["composition"].probability.shape
    (179,)
    """
    label = label_of(data, continuous)

    def fitted(made: Baseline) -> Baseline:
        features = _features(made, data)
        with one_blas_thread():
            return replace(made, classifier=made.classifier.fit(features, label))

    results = _each(_baselines(data, names, columns, continuous), fitted)
    return FittedBaselines(results.found, results.absent, data.reading, continuous)


def baseline_candidates(
    data: Dataset, names: Sequence[BaselineName], *, columns: Sequence[ColumnSpec] = (), continuous: bool = False
) -> Results[Candidate]:
    """Return the features of a data set and the unfitted classifier of each baseline.

    A feature depends on its own antibody only, so any rows may be training rows.
    """
    every = _baselines(data, names, columns, continuous)
    return _each(every, lambda made: Candidate(_features(made, data), made.classifier))


def _baselines(
    data: Dataset, names: Sequence[BaselineName], columns: Sequence[ColumnSpec], continuous: bool
) -> list[Baseline]:
    """Return the baselines of a training set; the last one reads its columns, if there are any."""
    every = [baseline(name, continuous=continuous, species=data.species) for name in names]
    return [*every, _of_columns(data, columns, continuous)] if columns else every


def _of_columns(data: Dataset, columns: Sequence[ColumnSpec], continuous: bool) -> Baseline:
    spec = (RidgeSpec if continuous else LogisticRegressionSpec)(standardize=False)
    classifier = build(spec, len(columns), [column.values for column in columns])
    return Baseline("columns", list, classifier, ColumnReading.of(columns, data.columns))


def label_of(data: Dataset, continuous: bool) -> NDArray[Any]:
    """Return the labels ``(n,)``. Raises DatasetError if they are of the other kind."""
    return data.continuous_labels() if continuous else data.binary_labels()


def _features(made: Baseline, data: Dataset) -> Any:
    """Return the features of a data set; a DatasetError is raised if they are all unknown."""
    if made.columns:
        read = made.columns.read(data.columns, len(data))
        if read.reasons:
            raise DatasetError(f"{len(read.reasons)} antibodies lack a number of the columns")
        return read.codes
    features = made.features(data.sequences)
    if not _recognised(made.name, features):
        raise DatasetError("no variable domain is recognised in any sequence")
    return features


def _recognised(name: BaselineName, features: Any) -> bool:
    """Return False if a baseline needs numbered antibodies, and none is."""
    match name:
        case "germline":
            return bool((features != UNKNOWN).any())
        case "germline_distance":
            return bool(np.isfinite(features).any())
        case "positions":
            return any(features)
    return True


def _each(baselines: Sequence[Baseline], compute: Callable[[Baseline], T]) -> Results[T]:
    """Return the result of each baseline; a baseline that fails is absent, with the reason."""
    results: dict[BaselineName, T] = {}
    absent: dict[BaselineName, str] = {}
    for made in baselines:
        try:
            results[made.name] = compute(made)
        except RECOVERABLE as error:
            absent[made.name] = in_one_line(error)
    return Results(results, absent)
