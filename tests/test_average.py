"""An average of heads is the mean of what its heads predict alone, and its folds are theirs."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.base import clone
from typer.testing import CliRunner

from antibody_esm import (
    AverageRegressorSpec,
    AverageSpec,
    Benchmark,
    Dataset,
    DecisionSpec,
    DescriptorSpec,
    ElasticNetSpec,
    EmbeddingStore,
    EnsembleSpec,
    ExtractorSpec,
    KNeighborsSpec,
    LinearSVMSpec,
    LogisticRegressionSpec,
    Predictor,
    RandomForestSpec,
    RidgeSpec,
    RuntimeSpec,
    SplitSpec,
    SVRSpec,
    Trainer,
    TrainSpec,
    XGBoostRegressorSpec,
    XGBoostSpec,
    mutational_scan,
    residue_contributions,
)
from antibody_esm.average import AverageClassifier
from antibody_esm.classifiers import build, workers_of
from antibody_esm.cli import train
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.reproduction import overrides
from antibody_esm.specs import AnyExtractorSpec, EstimatorSpec, SplitBy
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT, mutants
from effort import examples

RUNTIME = RuntimeSpec(workers=1)
CHARGES = DescriptorSpec(descriptors=("net_charge", "length"))
COMPOSITION = DescriptorSpec(descriptors=("composition",))
LOGREG, TREES = LogisticRegressionSpec(standardize=True), XGBoostSpec(n_estimators=3)
CLASSIFIERS = (LOGREG, TREES, RandomForestSpec(n_estimators=3), KNeighborsSpec(), LinearSVMSpec(calibration_folds=2))
REGRESSORS = (RidgeSpec(alpha="cv"), ElasticNetSpec(), SVRSpec(kernel="linear"), XGBoostRegressorSpec(n_estimators=3))
N = 40

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint("esm", tmp_path_factory.mktemp("model"), layers=1, dim=16, head=True)


def antibodies(*, continuous: bool = False, chain: str = "heavy", columns: bool = False) -> Dataset:
    generator = np.random.default_rng(3)
    heavy, light = mutants(HEAVY, N, 12), mutants(LIGHT, N, 12, seed=1)
    value = np.array([text.count("R") + text.count("K") for text in heavy]) + generator.normal(size=N)
    return Dataset(
        [str(i) for i in range(N)],
        heavy,
        light if chain == "paired" else None,
        label=value if continuous else (value > np.median(value)).astype(float),
        groups=[str(i % 8) for i in range(N)],
        chain="paired" if chain == "paired" else "heavy",
        measurements={"fold": np.arange(float(N)) % 4},
        columns={"isotype": tuple("ABC"[i % 3] for i in range(N)), "ph": np.arange(N) / 10} if columns else {},
    )


def average(heads: tuple[EstimatorSpec, ...], **options: object) -> AverageSpec | AverageRegressorSpec:
    kind = AverageRegressorSpec if heads[0].is_regressor else AverageSpec
    return kind.model_validate({"heads": heads, **options})


def numbers(trainer: Trainer, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return what a pipeline predicts out of fold, and for the data after a fit on all of them."""
    column = "prediction" if trainer.spec.is_regression else "probability"
    predictor = trainer.fit(data, uncertainty=False)
    fitted = predictor.predict(data) if trainer.spec.is_regression else predictor.predict_proba(data)[:, 1]
    return trainer.cross_validate(data).predictions[column].to_numpy(), fitted


def rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(40, 6))
    return X, (X[:, 0] + generator.normal(size=40) > 0).astype(int)


@given(st.sampled_from([*CLASSIFIERS, *REGRESSORS]), st.integers(0, 1000))
@examples(40)
def test_the_average_of_one_head_is_the_head(head: EstimatorSpec, seed: int) -> None:
    X, y = rows(seed)
    alone, averaged = (build(spec, 6).fit(X, y) for spec in (head, average((head,))))
    assert np.allclose(averaged.predict(X), alone.predict(X), rtol=1e-12)
    if not head.is_regressor:
        assert np.allclose(averaged.predict_proba(X), alone.predict_proba(X), rtol=1e-6)
        assert averaged.classes_.tolist() == [0, 1]
    assert averaged.n_features_in_ == 6


@given(st.lists(st.sampled_from(CLASSIFIERS), min_size=2, max_size=3), st.integers(0, 1000))
@examples(20)
def test_the_order_of_heads_does_not_matter(heads: list[EstimatorSpec], seed: int) -> None:
    X, y = rows(seed)
    results = [build(average(order), 6).fit(X, y).predict_proba(X) for order in permutations(heads)]
    for other in results[1:]:
        assert np.allclose(other, results[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("by", ["antibody", "identity", "group", "fold"])
@pytest.mark.parametrize("heads", [CLASSIFIERS[:3], REGRESSORS[:3]], ids=["classes", "numbers"])
def test_it_is_the_mean_of_its_pipelines_out_of_fold(heads: tuple[EstimatorSpec, ...], by: SplitBy) -> None:
    data = antibodies(continuous=heads[0].is_regressor)
    split = SplitSpec(by="fold") if by == "fold" else SplitSpec(by=by, folds=4)
    alone = [numbers(Trainer(COMPOSITION, head, split, runtime=RUNTIME), data) for head in heads]
    both = numbers(Trainer(COMPOSITION, average(heads), split, runtime=RUNTIME), data)
    for i in (0, 1):
        assert np.allclose(both[i], np.mean([each[i] for each in alone], axis=0), rtol=1e-10)


@pytest.mark.parametrize("chain", ["heavy", "paired"])
@pytest.mark.parametrize("columns", [False, True])
def test_a_head_for_each_member_averages_whole_pipelines(checkpoint: Path, chain: str, columns: bool) -> None:
    data = antibodies(chain=chain, columns=columns)
    members: tuple[AnyExtractorSpec, ...] = (
        ExtractorSpec(model=str(checkpoint)),
        CHARGES,
        ExtractorSpec(model=str(checkpoint), pooling="max"),
    )
    heads: tuple[EstimatorSpec, ...] = (LOGREG, RandomForestSpec(n_estimators=3), TREES)
    split = SplitSpec(folds=4)
    alone = [
        numbers(Trainer(member, head, split, runtime=RUNTIME), data)
        for member, head in zip(members, heads, strict=True)
    ]
    spec = average(heads, per_member=True)
    together = EnsembleSpec.model_validate({"members": members, "combine": "concat"})
    trainer = Trainer(together, spec, split, runtime=RUNTIME)
    both = numbers(trainer, data)
    for i in (0, 1):
        assert np.allclose(both[i], np.mean([each[i] for each in alone], axis=0), rtol=1e-6)
    widths = (16, 2, 16) if chain == "heavy" else (32, 4, 32)
    assert trainer.predictor_.spec.classifier.widths == widths  # type: ignore[union-attr]
    assert trainer.spec.classifier == spec
    report = trainer.cross_validate(data)
    assert "random_weights" in report.baselines.found
    assert "average of logreg" in report.pipeline
    assert "one for each member" in report.pipeline
    test = trainer.predictor_.evaluate(data)
    assert (
        len(GridReport([report, test]).rows) - len([row for row in GridReport([report, test]).rows if row.baseline])
        == 1
    )


def test_nothing_is_fitted_on_the_rows_that_are_tested() -> None:
    data = antibodies()
    label, fold = data.binary_labels(), data.measurements["fold"]

    def probability(label: np.ndarray) -> np.ndarray:
        poisoned = Dataset(data.ids, data.heavy, label=label.astype(float), measurements={"fold": fold})
        trainer = Trainer(COMPOSITION, average(CLASSIFIERS), SplitSpec(by="fold"), runtime=RUNTIME)
        return trainer.cross_validate(poisoned).predictions["probability"].to_numpy()

    clean, poisoned = probability(label), probability(np.where(fold == 0, 1 - label, label))
    assert np.array_equal(clean[fold == 0], poisoned[fold == 0])
    assert not np.array_equal(clean[fold != 0], poisoned[fold != 0]), "it can be seen"


@pytest.mark.parametrize("heads", [CLASSIFIERS, REGRESSORS], ids=["classes", "numbers"])
def test_a_saved_average_predicts_the_same(heads: tuple[EstimatorSpec, ...], tmp_path: Path) -> None:
    data = antibodies(continuous=heads[0].is_regressor)
    decision = DecisionSpec() if heads[0].is_regressor else DecisionSpec(calibration="sigmoid", folds=2)
    predictor = Trainer(COMPOSITION, average(heads), decision=decision, runtime=RUNTIME).fit(data)
    predictor.write(tmp_path / "a")
    loaded = Predictor.load(tmp_path / "a")
    assert loaded.spec == predictor.spec
    assert np.array_equal(loaded.predict(data), predictor.predict(data))
    assert loaded.score_table(data).equals(predictor.score_table(data))
    again = Trainer(COMPOSITION, average(heads), decision=decision, runtime=RUNTIME).fit(data)
    again.write(tmp_path / "b")
    assert (tmp_path / "a" / "classifier.skops").read_bytes() == (tmp_path / "b" / "classifier.skops").read_bytes()
    kinds = "knn" if not heads[0].is_regressor else "svr"
    assert f"but {kinds} itself consists of vectors" in predictor.write(tmp_path / "c", training=False)


def test_workers_change_no_number_and_fits_that_share_a_generator_run_alone() -> None:
    with_svm = build(average((LOGREG, LinearSVMSpec())), 6)
    assert workers_of(with_svm, 4) == 1
    assert workers_of(build(average((LOGREG, TREES)), 6), 4) == 4
    data = antibodies()
    probability = [
        numbers(Trainer(COMPOSITION, average(CLASSIFIERS), SplitSpec(folds=4), runtime=RuntimeSpec(workers=n)), data)[0]
        for n in (1, 3)
    ]
    assert np.array_equal(probability[0], probability[1])


def test_fits_that_did_not_converge_are_noted() -> None:
    weak = LogisticRegressionSpec(max_iter=1)
    report = Trainer(COMPOSITION, average((TREES, weak)), SplitSpec(folds=4)).cross_validate(antibodies())
    assert report.unconverged == 4


def test_contributions_are_exact_if_the_mean_is_linear(checkpoint: Path) -> None:
    extractor = ExtractorSpec(model=str(checkpoint))

    def explained(*heads: EstimatorSpec, method: str = "auto") -> str:
        data = antibodies(continuous=heads[0].is_regressor)
        predictor = Trainer(extractor, average(heads), runtime=RUNTIME).fit(data, uncertainty=False)
        found = residue_contributions(predictor, HEAVY, method=method)  # type: ignore[arg-type]
        value = predictor.predict([HEAVY])[0]
        if found.method == "exact":
            assert found.intercept is not None
            assert found.intercept + found.contributions.sum() == pytest.approx(value, rel=1e-5)
        if heads[0].is_regressor:
            assert found.score == pytest.approx(value)
        assert mutational_scan(predictor, HEAVY, [3], plausibility=False).prediction == pytest.approx(
            value if heads[0].is_regressor else predictor.predict_proba([HEAVY])[0, 1]
        )
        return found.method

    assert explained(RidgeSpec(alpha="cv"), SVRSpec(kernel="linear"), ElasticNetSpec()) == "exact"
    assert explained(RidgeSpec(), XGBoostRegressorSpec(n_estimators=3)) == "occlusion"
    assert explained(LOGREG, TREES) == "occlusion"
    with pytest.raises(ValueError, match="average is not linear in the vector"):
        explained(LOGREG, LOGREG.model_copy(update={"C": 0.1}), method="exact")


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "no head": (lambda: AverageSpec(heads=()), "at least 1"),
    "regressors among classifiers": (lambda: average((LOGREG, RidgeSpec())), "ridge"),
    "one model for two members": (
        lambda: TrainSpec(extractor=CHARGES, classifier=average((LOGREG, TREES), per_member=True)),
        "requires an EnsembleSpec",
    ),
    "two heads for three members": (
        lambda: TrainSpec(
            extractor=EnsembleSpec(members=(ExtractorSpec(model="a"), CHARGES, COMPOSITION), combine="concat"),
            classifier=average((LOGREG, TREES), per_member=True),
        ),
        "2 heads do not fit the 3 members",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_heads_that_fit_nothing_are_refused(name: str) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(ValidationError, match=reason):
        make()


def test_features_that_are_not_those_of_the_heads_are_refused() -> None:
    X, y = rows(0)
    classifier = AverageClassifier((build(LOGREG, 3), build(LOGREG, 3)), (3, 2), 0)
    with pytest.raises(ValueError, match=r"\(3, 2\) and 0 shared features, not 6"):
        classifier.fit(X, y)
    assert clone(classifier).widths == (3, 2)


def test_overrides_express_it_and_a_command_runs_it(tmp_path: Path) -> None:
    spec = TrainSpec(extractor=CHARGES, classifier=average((LOGREG, TREES)), split=SplitSpec(folds=3))
    words = overrides(spec)
    assert words is not None
    assert TrainSpec.compose(words) == spec
    antibodies().to_frame().to_csv(table := tmp_path / "t.csv", index=False)
    done = CliRunner().invoke(
        train.app,
        [f"data={table}", "data.label=label", *words, f"output={tmp_path / 'out'}", f"store={tmp_path / 's'}"],
    )
    assert done.exit_code == 0, done.output
    assert "average of logreg (standardize=True), xgboost (n_estimators=3)" in " ".join(done.output.split())
    assert Predictor.load(tmp_path / "out" / "model").spec.classifier == spec.classifier


def test_a_benchmark_compares_it_with_its_heads(tmp_path: Path) -> None:
    data = antibodies()
    grid = Benchmark(
        [CHARGES], [LOGREG, average((LOGREG, TREES))], data.subset(range(30)), [data.subset(range(30, 40))],
        split=SplitSpec(folds=3), store=EmbeddingStore(tmp_path), output=tmp_path / "results",
    ).run()  # fmt: skip
    assert len({row.name for row in grid.rows if not row.baseline}) == 2
