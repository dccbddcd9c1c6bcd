"""Calibration and thresholds are learnt out of fold, within training rows; opened test sets are counted."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, _SigmoidCalibration
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from antibody_esm import (
    Dataset,
    DatasetError,
    DecisionSpec,
    DescriptorSpec,
    Predictor,
    SplitSpec,
    StoreError,
    Trainer,
    TrainSpec,
)
from antibody_esm.classifiers import build
from antibody_esm.data.dataset import Provenance
from antibody_esm.evaluation.calibration import CalibratedClassifier
from antibody_esm.evaluation.metrics import score
from antibody_esm.evaluation.nested import Candidate, nested_cross_validate
from antibody_esm.evaluation.splits import Division
from antibody_esm.evaluation.test_set_log import Ledger, Opening
from antibody_esm.evaluation.thresholds import ASSAY_THRESHOLDS
from antibody_esm.rising import RisingSigmoid
from antibody_esm.serialization import loads
from antibody_esm.specs import LinearSVMSpec, LogisticRegressionSpec, RidgeSpec, SplitBy
from antibody_esm.trusted_types import skops_io
from effort import examples
from peers import one_thread

GENERATOR = np.random.default_rng(1)
Y = np.arange(120) % 3 // 2
X = GENERATOR.normal(size=(120, 8)) + 0.7 * Y[:, None]
SEQUENCES = ["".join(GENERATOR.choice(list("ACDEFGHIKLMNPQRSTVWY"), 20)) for _ in range(90)]
CHARGED = np.array([one.count("K") + one.count("R") for one in SEQUENCES])
NUMBERED = DescriptorSpec(descriptors=("net_charge", "composition"))
DATA = Dataset(
    [f"a{i}" for i in range(90)],
    SEQUENCES,
    label=CHARGED + GENERATOR.normal(size=90) > 2.4,
    fragment="H-CDRs",
    provenance=Provenance("a set with a name"),  # those without one are counted by their rows
)
TRAIN, TEST = DATA.subset(range(60)), DATA.subset(range(60, 90))
EVERY = [
    DecisionSpec(calibration=calibration, threshold=threshold, folds=4)
    for calibration in (None, "sigmoid", "isotonic")
    for threshold in (None, 0.3, "balanced_accuracy")
]


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("classifier", [LogisticRegression(), KNeighborsClassifier(20)])
def test_probabilities_are_those_of_scikit_learn_on_the_same_folds(method: str, classifier: object) -> None:
    cv = Division(SplitSpec(folds=5)).folds(Y)
    peer = CalibratedClassifierCV(classifier, method=method, cv=cv, ensemble=False).fit(X, Y)
    ours = CalibratedClassifier(classifier, calibration=method).fit(X, Y)
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-12)
    np.testing.assert_allclose(ours.predict_proba(X).sum(axis=1), 1)


OUTPUTS = st.lists(
    st.tuples(st.floats(-20, 20).map(lambda value: round(value, 3)), st.integers(0, 1)), min_size=4, max_size=30
).filter(lambda rows: len({label for _, label in rows}) == 2)


@given(OUTPUTS)
@examples(100)
def test_a_sigmoid_never_falls_and_is_the_likeliest_of_those(rows: list[tuple[float, int]]) -> None:
    output, label = (np.array(column) for column in zip(*rows, strict=True))
    output = output.astype(float)
    fitted = RisingSigmoid().fit(output, label)
    rising = fitted.predict(np.sort(output))
    assert (np.diff(rising) >= 0).all()
    # Platt's targets; the likelihood of every other line that does not fall is at most that of the fitted one
    targets = np.where(label == 1, (label.sum() + 1) / (label.sum() + 2), 1 / ((1 - label).sum() + 2))

    def loss(line: NDArray[np.float64]) -> float:
        logit = line[0] * output + line[1]
        return float(np.sum(np.logaddexp(0, logit) - targets * logit))

    best = minimize(loss, (0.0, 0.0), bounds=[(0, None), (None, None)], method="L-BFGS-B").fun
    assert loss(np.array([-fitted.a_, -fitted.b_])) <= best + 1e-3 * len(rows)


@given(st.integers(0, 1000), st.sampled_from(["sigmoid", "isotonic"]))
@examples(60)
def test_no_calibration_ranks_antibodies_against_its_classifier(seed: int, calibration: Any) -> None:
    numbers = np.random.default_rng(seed)
    noise, label = numbers.normal(size=(40, 3)), np.arange(40) % 2  # of noise, half of the slopes would be negative
    plain = LogisticRegression().fit(noise, label)
    fitted = CalibratedClassifier(LogisticRegression(), calibration=calibration).fit(noise, label)
    order = np.argsort(plain.predict_proba(noise)[:, 1])
    assert (np.diff(fitted.predict_proba(noise)[order, 1]) >= -1e-12).all()


@given(st.integers(0, 1000))
@examples(30)
def test_no_part_of_a_linear_svm_ranks_antibodies_against_its_classifier(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    noise, label = numbers.normal(size=(40, 3)), np.arange(40) % 2
    for part in build(LinearSVMSpec(standardize=False), 3).fit(noise, label)[-1].calibrated_classifiers_:
        order = np.argsort(part.estimator.decision_function(noise))
        assert (np.diff(part.predict_proba(noise)[order, 1]) >= -1e-12).all()


def test_a_flat_calibration_is_told_in_the_report_and_survives_a_save(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = replace(DATA, label=np.random.default_rng(0).permutation(np.arange(90) % 2))
    trainer = Trainer(NUMBERED, "logreg", SplitSpec(folds=3), decision=DecisionSpec(calibration="sigmoid"))
    report = trainer.cross_validate(data)
    by_fold = report.predictions.groupby("fold")["probability"].nunique()
    flat = int((by_fold == 1).sum())
    assert flat
    [note] = [note for note in report.to_dict()["notes"] if "the same probability" in note]
    assert note.startswith(f"In {flat} of 3 folds every antibody has the same probability: the model ranks none")
    predictor = trainer.fit(data)
    assert "gives every antibody the same probability" in caplog.text
    assert len(set(predictor.predict_proba(data)[:, 1])) == 1
    [of_test] = [note for note in predictor.evaluate(DATA).to_dict()["notes"] if "the same probability" in note]
    assert of_test.startswith("Every antibody has")
    assert not predictor.scan(SEQUENCES[0]).table["change"].any(), "no mutant is better than another"
    with pytest.warns(UserWarning, match="30 of 30 antibodies of the recalibration are training antibodies"):
        adapted = predictor.recalibrate(TEST)
    assert len(set(adapted.predict_proba(data)[:, 1])) == 1
    again = Predictor.load(predictor.save(tmp_path / "model"))
    assert np.array_equal(again.predict_proba(data), predictor.predict_proba(data))


def test_a_model_that_was_saved_with_a_falling_calibration_warns(tmp_path: Path) -> None:
    fitted = CalibratedClassifier(build(LogisticRegressionSpec(), 8), calibration="sigmoid").fit(X, Y)
    fitted.calibrator_ = _SigmoidCalibration().fit(-X[:, 0], Y)  # as scikit-learn has it
    with pytest.warns(UserWarning, match="falls where the classifier's outputs rise"):
        loads(skops_io().dumps(fitted), tmp_path / "classifier.skops", regression=False)


def test_a_threshold_is_the_best_out_of_fold_and_not_the_best_on_the_training_rows() -> None:
    fitted = CalibratedClassifier(LogisticRegression(C=1e6), threshold="balanced_accuracy").fit(X, Y)
    held_out = np.empty(len(Y))
    for train, test in Division(SplitSpec(folds=5)).folds(Y):
        held_out[test] = LogisticRegression(C=1e6).fit(X[train], Y[train]).predict_proba(X[test])[:, 1]

    def at(cut: float) -> float:
        return score(Y, (held_out >= cut).astype(int), held_out)["balanced_accuracy"]

    assert at(fitted.threshold_) == max(at(cut) for cut in [*held_out, 0.5])
    said = fitted.predict_proba(X)[:, 1]
    assert np.array_equal(fitted.predict(X), (said >= fitted.threshold_).astype(int))


@pytest.mark.parametrize("by", ["antibody", "group"])
def test_too_few_rows_for_the_folds_of_a_decision_name_its_setting(by: SplitBy) -> None:
    """The message named split.folds, which were fewer than the folds that it stated."""
    data = replace(DATA, groups=[f"g{row % 6}" for row in range(90)])
    if by == "antibody":
        label = np.asarray(data.label)
        data = data.subset([*np.flatnonzero(label)[:5], *np.flatnonzero(label == 0)])
    decision = DecisionSpec(threshold="balanced_accuracy")
    trainer = Trainer(NUMBERED, "logreg", SplitSpec(by=by, folds=3), decision=decision)
    with pytest.raises(DatasetError, match="5 folds need at least 5") as error:
        trainer.cross_validate(data)
    assert "among the training antibodies. Set decision.folds lower" in str(error.value)
    assert "split.folds" not in str(error.value)
    with pytest.raises(DatasetError, match=r"class \d has \d\. Set split.folds lower"):
        Trainer(NUMBERED, "logreg", SplitSpec(by=by, folds=10)).cross_validate(data)


def test_two_folds_cannot_be_fewer() -> None:
    with pytest.raises(DatasetError, match=r"class 1 has 1$"):
        Division(SplitSpec(folds=2)).folds(np.array([0, 0, 0, 1]))


def test_a_fixed_threshold_costs_no_folds_and_wins() -> None:
    fitted = CalibratedClassifier(LogisticRegression(), threshold=0.2, folds=1000).fit(X, Y)  # more than rows
    assert fitted.threshold_ == 0.2
    assert np.array_equal(fitted.predict(X), (LogisticRegression().fit(X, Y).predict_proba(X)[:, 1] >= 0.2).astype(int))


def test_calibration_of_an_overconfident_classifier_is_better_on_other_rows() -> None:
    # Sixty features of which one matters: without a penalty, probabilities are far too sure.
    generator = np.random.default_rng(2)
    features = generator.normal(size=(1200, 60))
    label = (features[:, 0] + 2 * generator.normal(size=1200) > 0).astype(int)
    train, test = slice(200), slice(200, None)
    plain = LogisticRegression(C=np.inf)
    raw = clone(plain).fit(features[train], label[train]).predict_proba(features[test])[:, 1]
    for method in ("sigmoid", "isotonic"):
        fitted = CalibratedClassifier(plain, method).fit(features[train], label[train])
        said = fitted.predict_proba(features[test])[:, 1]
        for metric in ("brier", "ece"):
            assert score(label[test], said >= 0.5, said)[metric] < 0.8 * score(label[test], raw >= 0.5, raw)[metric]


@given(seed=st.integers(0, 1000))
@examples(20)
def test_what_is_kept_together_outside_is_kept_together_inside(seed: int) -> None:
    unit = np.random.default_rng(seed).integers(0, 25, len(Y)).astype(str)
    seen: list[tuple[set[str], set[str]]] = []

    class Watching(LogisticRegression):
        def fit(self, features: np.ndarray, label: np.ndarray) -> "Watching":
            self.units = set(features[:, -1].astype(int).astype(str))
            return super().fit(features, label)

        def decision_function(self, features: np.ndarray) -> np.ndarray:
            seen.append((self.units, set(features[:, -1].astype(int).astype(str))))
            return super().decision_function(features)

    marked = np.column_stack([X, unit.astype(float)])
    with one_thread():
        division = Division(SplitSpec(by="group"), unit)
        CalibratedClassifier(Watching(max_iter=1000), "sigmoid", by="group").fit(marked, Y, division)
    assert len(seen) == 5
    assert all(train.isdisjoint(test) for train, test in seen)


def test_a_decision_refuses_no_units_and_those_of_another_rule() -> None:
    grouped = CalibratedClassifier(LogisticRegression(), "sigmoid", by="group")
    with pytest.raises(ValueError, match="a split by group needs the unit of each row"):
        grouped.fit(X, Y)
    with pytest.raises(ValueError, match="both by family"):
        grouped.fit(X, Y, Division(SplitSpec(by="family"), Y.astype(str)))
    one = Candidate(X, grouped)
    with pytest.raises(ValueError, match="both by antibody, not by group"):
        nested_cross_validate({"a": one}, Y, SplitSpec(folds=3), SplitSpec(folds=2))


@pytest.mark.parametrize("decision", EVERY, ids=str)
def test_every_decision_is_cross_validated_saved_and_loaded(decision: DecisionSpec, tmp_path: Path) -> None:
    trainer = Trainer(NUMBERED, "logreg", SplitSpec(folds=3), decision=decision)
    found = trainer.cross_validate(TRAIN).predictions
    trainer.fit(TRAIN, scores=False).save(tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model")
    assert loaded.spec.decision == decision
    assert np.array_equal(loaded.predict_proba(TEST), trainer.predictor_.predict_proba(TEST))
    assert np.array_equal(loaded.predict(TEST), trainer.predictor_.predict(TEST))
    if decision.threshold == 0.3:
        assert np.array_equal(found["prediction"], found["probability"] >= 0.3)
    plain = Trainer(NUMBERED, "logreg", SplitSpec(folds=3)).cross_validate(TRAIN).predictions
    alike = np.array_equal(plain["probability"], found["probability"])
    assert alike == (decision.calibration is None)


def test_the_clusters_of_a_trainers_split_reach_the_calibration() -> None:
    grouped = replace(TRAIN, groups=[f"g{i // 2}" for i in range(60)])
    trainer = Trainer(NUMBERED, split=SplitSpec(folds=3, by="group"), decision=DecisionSpec(calibration="sigmoid"))
    trainer.cross_validate(grouped)
    fitted = trainer.fit(grouped).classifier
    assert (fitted.by, fitted.folds) == ("group", 5)
    apart = Trainer(NUMBERED, decision=DecisionSpec(calibration="sigmoid")).fit(grouped).classifier
    assert fitted.calibrator_.a_ != apart.calibrator_.a_


def test_a_regressor_decides_nothing() -> None:
    with pytest.raises(ValueError, match="a regressor has no probabilities and no threshold"):
        TrainSpec(extractor=NUMBERED, classifier=RidgeSpec(), decision=DecisionSpec(threshold=0.4))
    regressor = Trainer(NUMBERED, "ridge").fit(TRAIN)
    with pytest.raises(ValueError, match="has no threshold"):
        regressor.predict(TEST, assay="elisa")


@pytest.fixture
def predictor() -> Predictor:
    return Trainer(NUMBERED, "logreg").fit(TRAIN)


def test_thresholds_of_assays_are_those_of_earlier_work_and_an_explicit_one_wins(predictor: Predictor) -> None:
    probability = predictor.predict_proba(TEST)[:, 1]
    assert {name: one.threshold for name, one in ASSAY_THRESHOLDS.items()} == {"elisa": 0.5, "psr": 0.5495}
    assert np.array_equal(predictor.predict(TEST, assay="psr"), probability >= 0.5495)
    assert np.array_equal(predictor.predict(TEST, threshold=0.1, assay="psr"), probability >= 0.1)
    assert np.array_equal(predictor.predict(TEST, threshold=0.0), np.ones(30))
    for wrong in ({"assay": "spr"}, {"threshold": 1.5}, {"threshold": float("nan")}):
        with pytest.raises(ValueError, match="unknown assay 'spr'|from 0 to 1"):
            predictor.predict(TEST, **wrong)


@pytest.mark.parametrize("asked", [{"assay": "psr"}, {"threshold": 0.5495}])
def test_a_threshold_is_not_tested_on_the_labels_that_it_was_chosen_by(predictor: Predictor, asked: dict) -> None:
    shehata = replace(TEST, provenance=Provenance("s", citation="Shehata et al., doi:10.1016/j.celrep.2019.08.056"))
    with pytest.warns(UserWarning, match="chosen by the labels of these very antibodies"):
        report = predictor.evaluate(shehata, **asked)
    assert "no independent test" in " ".join(str(report).split())
    predictor.evaluate(shehata, threshold=0.5)  # warnings are errors
    predictor.evaluate(TEST, **asked)


def _times(predictor: Predictor, data: Dataset = TEST, **asked: float) -> str:
    (note,) = [one for one in predictor.evaluate(data, **asked).notes if "was opened" in one]
    return note.removeprefix("With models saved here, this test set was opened ").partition(":")[0].strip(".")


def test_every_new_look_at_a_test_set_is_counted_and_a_repeated_one_is_not(tmp_path: Path) -> None:
    predictor = Trainer(NUMBERED, "logreg").fit(TRAIN)
    assert _times(predictor) == "once"
    predictor.save(tmp_path / "model")
    digests = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir() if path.suffix != ".jsonl"}
    again = Predictor.load(tmp_path / "model")
    assert _times(again) == "once"
    assert _times(again, threshold=0.4) == "2 times"
    assert _times(again, TEST.subset(range(20))) == "3 times"
    # The same training once more is the same model; another one is not, though it is saved into the same folder.
    retrained = Trainer(NUMBERED, "logreg").fit(TRAIN)
    retrained.save(tmp_path / "model")
    assert _times(retrained) == "3 times"
    other = Trainer(NUMBERED, "xgboost").fit(TRAIN)
    other.save(tmp_path / "model")
    assert _times(other) == "4 times"
    other_set = replace(TEST, provenance=Provenance("another set"))
    assert _times(other, other_set) == "once"
    retrained.save(tmp_path / "model")
    assert {name: (tmp_path / "model" / name).read_bytes() for name in digests} == digests


def test_a_ledger_that_cannot_be_read_is_an_error(predictor: Predictor, tmp_path: Path) -> None:
    predictor.save(tmp_path)
    for line in ("{", "[]", '{"source": "x"}', "7"):
        (tmp_path / "openings.jsonl").write_text(line + "\n")
        with pytest.raises(StoreError, match="line 1 is not an opening"):
            Predictor.load(tmp_path).evaluate(TEST)


def test_a_ledger_in_memory_moves_to_a_file_and_loses_nothing(tmp_path: Path) -> None:
    one, other = Opening("s", "d", "m"), Opening("s", "d", "m", 0.5)
    Ledger(tmp_path / "l").record(one)
    ledger = Ledger()
    ledger.record(other)
    ledger.move(tmp_path / "l")
    assert ledger.count("s") == Ledger(tmp_path / "l").count("s") == 2
    assert len((tmp_path / "l").read_text().splitlines()) == 2


@given(st.lists(st.booleans(), min_size=30, max_size=30).filter(lambda labels: 0 < sum(labels) < 30))
@examples(15)
def test_no_test_label_reaches_a_model(poison: list[bool]) -> None:
    """Whatever the labels of a test set are, the model's bytes are the same before and after, and in training anew."""
    trainer = Trainer(NUMBERED, "logreg", decision=DecisionSpec(calibration="sigmoid", threshold="balanced_accuracy"))
    clean = trainer.fit(TRAIN).digest
    poisoned = replace(TEST, label=poison)
    trainer.evaluate(poisoned)
    del vars(trainer.predictor_)["digest"]
    assert trainer.predictor_.digest == clean
    assert trainer.fit(TRAIN).digest == clean


def test_poisoned_test_labels_leave_the_saved_bytes_as_they_are(tmp_path: Path) -> None:
    saved = []
    for name, label in (("clean", TEST.label), ("poisoned", 1 - np.asarray(TEST.label))):
        trainer = Trainer(NUMBERED, "logreg", decision=DecisionSpec(threshold="balanced_accuracy"))
        trainer.cross_validate(TRAIN)
        trainer.fit(TRAIN)
        trainer.evaluate(replace(TEST, label=label))
        folder = trainer.predictor_.save(tmp_path / name)
        Predictor.load(folder).evaluate(replace(TEST, label=label))
        saved.append({one: (folder / one).read_bytes() for one in ("manifest.json", "classifier.skops")})
    assert saved[0] == saved[1]


def trained(kind: str) -> str:
    """A program that trains a classifier and saves it into a folder."""
    label = "[i % 3 // 2 for i in range(60)]" if kind != "svr" else "[float(i * 7 % 11) for i in range(60)]"
    return (
        "from antibody_esm import *\n"
        f"data = Dataset(ids=[str(i) for i in range(60)], heavy={SEQUENCES[:60]!r}, label={label}, fragment='H-CDRs')\n"
        f"Trainer(DescriptorSpec(descriptors=('composition',)), {kind!r}).fit(data, scores=False).save(folder)"
    )


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where another process has saved some: a process each would cost seconds."""
    root = tmp_path_factory.mktemp("elsewhere")
    programs = [f"folder = {str(root / kind)!r}\n{trained(kind)}\n" for kind in ("logreg", "xgboost")]
    subprocess.run([sys.executable, "-c", "".join(programs)], check=True)
    return root


@pytest.mark.parametrize("kind", ["logreg", "xgboost", "random_forest", "gaussian_process", "linear_svm", "knn", "svr"])
def test_the_same_training_gives_the_same_bytes_in_another_process(kind: str, elsewhere: Path, tmp_path: Path) -> None:
    exec(trained(kind), {"folder": tmp_path / kind})  # noqa: S102  our own text, above
    other = elsewhere / kind
    if kind not in ("logreg", "xgboost"):  # other kinds are fitted twice in this process
        other = tmp_path / "other"
        exec(trained(kind), {"folder": other})  # noqa: S102
    for name in ("classifier.skops", "manifest.json"):
        assert (tmp_path / kind / name).read_bytes() == (other / name).read_bytes()
    assert json.loads((other / "manifest.json").read_bytes())["format"] == 3
