"""Recalibration: the order of antibodies stays, test labels reach no fit, and every door knows of it."""

import json
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from antibody_esm import (
    Dataset,
    DatasetError,
    DecisionSpec,
    ExtractorSpec,
    Panel,
    Predictor,
    StoreError,
    Trainer,
    mutational_scan,
    residue_contributions,
)
from antibody_esm.cli import web, web_profile
from antibody_esm.cli.app import app
from antibody_esm.evaluation.recalibration_curve import RecalibrationCurve, recalibration_curve
from antibody_esm.evaluation.scaling import Scaling, fit_scaling, threshold_of
from antibody_esm.model_files import manifest_digest
from antibody_esm.score_tables import score_file
from antibody_esm.serialization import dumps, loads
from antibody_esm.unknown import Unknown
from chains import HEAVY, mutants
from effort import examples
from reporting import CHARGES, LOGREG

VH = mutants(HEAVY, 120, 8)
CHARGE = np.array([each.count("K") + each.count("R") - each.count("D") - each.count("E") for each in VH], float)


def antibodies(first: int, last: int, *, continuous: bool = False, rare: bool = False, **changes: Any) -> Dataset:
    noise = np.random.default_rng(first).normal(size=last - first)
    value = CHARGE[first:last] + noise
    label = value if continuous else (value > np.quantile(value, 0.8 if rare else 0.5)).astype(float)
    return replace(Dataset([f"a{i}" for i in range(first, last)], VH[first:last], label=label), **changes)


@cache
def model(classifier: Any = LOGREG, decision: DecisionSpec | None = None, continuous: bool = False) -> Predictor:
    return Trainer(CHARGES, classifier, decision=decision).fit(antibodies(0, 60, continuous=continuous))


def other(**options: Any) -> Dataset:
    return antibodies(60, 120, **{"rare": not options.get("continuous")} | options)


scores = st.lists(st.floats(-8, 8), min_size=1, max_size=30)


@given(scores, st.integers(0, 2**30))
@examples(80)
def test_a_scaling_keeps_the_order_whatever_the_labels(values: list[float], bits: int) -> None:
    score = np.array(values)
    label = np.array([bits >> i & 1 for i in range(len(score))])
    for continuous in (False, True):
        scaling = fit_scaling(score, 50.0 * label if continuous else label, continuous=continuous)
        assert scaling.slope > 0
        assert np.isfinite(scaling.intercept)
        assert (np.diff(scaling.value(np.sort(score))) >= 0).all()


@given(scores)
@examples(40)
def test_no_antibody_changes_nothing_and_few_change_little(values: list[float]) -> None:
    score = np.array(values)
    assert fit_scaling(np.empty(0), np.empty(0)) == Scaling()
    one = fit_scaling(score[:1], np.array([1]))
    assert abs(one.intercept) < 4
    assert 0.2 < one.slope < 5
    probability = 1 / (1 + np.exp(-score))
    np.testing.assert_allclose(Scaling().probability(probability), probability, atol=1e-9)


@pytest.mark.parametrize("continuous", [False, True])
def test_many_antibodies_of_a_known_scaling_find_it(continuous: bool) -> None:
    generator = np.random.default_rng(0)
    score = generator.normal(size=4000) * 2
    right = 0.7 * score - 1.5
    label = right + generator.normal(size=4000) if continuous else generator.random(4000) < 1 / (1 + np.exp(-right))
    found = fit_scaling(score, label.astype(float), continuous=continuous)
    assert found.slope == pytest.approx(0.7, abs=0.1)
    assert found.intercept == pytest.approx(-1.5, abs=0.15)


def test_the_curve_reads_no_label_of_a_held_out_antibody_before_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[set[float]] = []

    def recorded(score: Any, label: Any, *, continuous: bool) -> Scaling:
        fitted.append(set(score))
        return fit_scaling(score, label, continuous=continuous)

    monkeypatch.setattr("antibody_esm.evaluation.recalibration_curve.fit_scaling", recorded)
    score = np.arange(60.0)
    curve = recalibration_curve(score, (score > 40).astype(int))
    assert isinstance(curve, RecalibrationCurve)
    assert curve.sizes == (0, 5, 10, 20)
    assert curve.held_out == 40
    for draw in range(curve.draws):
        order = np.random.default_rng((0, draw)).permutation(60)
        sets = fitted[draw * 4 : draw * 4 + 4]
        assert [len(each) for each in sets] == [0, 5, 10, 20]
        assert all(smaller <= larger for smaller, larger in pairwise(sets))
        assert sets[-1] == set(score[order[:20]])


def test_poisoned_labels_of_held_out_antibodies_change_no_scaling_of_their_draw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    score = np.arange(60.0)

    def scalings(label: np.ndarray) -> list[Scaling]:
        fitted: list[Scaling] = []

        def recorded(score: Any, label: Any, *, continuous: bool) -> Scaling:
            fitted.append(fit_scaling(score, label, continuous=continuous))
            return fitted[-1]

        monkeypatch.setattr("antibody_esm.evaluation.recalibration_curve.fit_scaling", recorded)
        assert isinstance(recalibration_curve(score, label), RecalibrationCurve)
        return fitted

    held_out = np.random.default_rng((0, 0)).permutation(60)[20:]
    label = (score > 40).astype(int)
    poisoned = label.copy()
    poisoned[held_out] = 1 - label[held_out]
    clean, others = scalings(label), scalings(poisoned)
    assert others[:4] == clean[:4], "four sizes of the first draw"
    assert others[4:] != clean[4:], "it can be seen in other draws"


def test_poisoned_labels_of_a_test_set_change_no_recalibration() -> None:
    data = other()
    few, rest = data.subset(range(20)), data.subset(range(20, 60))
    clean = model().recalibrate(few)
    poisoned = replace(data, label=np.concatenate([np.asarray(few.label), 1 - np.asarray(rest.label)]))
    tested = Trainer(CHARGES, LOGREG).fit(antibodies(0, 60))  # not `model()`, whose openings other tests count
    assert tested.evaluate(poisoned.subset(range(20, 60))).scores["roc_auc"].size
    again = tested.recalibrate(poisoned.subset(range(20)))
    assert again.recalibration is not None
    assert again.evaluate(poisoned.subset(range(20, 60))).scores["roc_auc"].size
    assert np.array_equal(clean.predict_proba(rest), again.predict_proba(rest))
    assert clean.recalibration is not None
    assert again.recalibration is not None
    assert clean.recalibration.curve == again.recalibration.curve


def test_a_shift_of_prevalence_is_learnt_and_no_shift_is_no_help() -> None:
    generator = np.random.default_rng(0)
    score = generator.normal(size=200) * 2
    shifted = (generator.random(200) < 1 / (1 + np.exp(3 - score))).astype(int)
    same = (generator.random(200) < 1 / (1 + np.exp(-score))).astype(int)
    helps, none = (recalibration_curve(score, label) for label in (shifted, same))
    assert isinstance(helps, RecalibrationCurve)
    assert isinstance(none, RecalibrationCurve)
    assert helps.sentence.startswith("Recalibration helps: with 40 antibodies the log loss")
    assert not none.sentence.startswith("Recalibration helps")
    assert str(helps.sizes[-1]) in str(helps)


def test_few_antibodies_have_no_curve_but_a_recalibration() -> None:
    again = model().recalibrate(other().subset(range(4)))
    assert again.recalibration is not None
    assert isinstance(again.recalibration.curve, Unknown)
    one_class = other().subset(np.flatnonzero(np.asarray(other().label) == 0)[:12])
    assert (model().recalibrate(one_class).predict_proba(other()) >= 0).all()


MODELS: dict[str, tuple[Any, DecisionSpec | None, bool]] = {
    "logreg": (LOGREG, None, False),
    "decision": (LOGREG, DecisionSpec(calibration="sigmoid", threshold="balanced_accuracy"), False),
    "votes": ("random_forest", None, False),
    "ridge": ("ridge", None, True),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_door_has_the_recalibrated_numbers(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classifier, decision, continuous = MODELS[name]
    base, data = model(classifier, decision, continuous), other(continuous=continuous)
    again = base.recalibrate(data.subset(range(30)))
    number: Callable[[Predictor, Any], Any] = lambda each, x: (  # noqa: E731
        each.predict(x) if continuous else each.predict_proba(x)[:, 1]
    )
    before, after = number(base, data), number(again, data)
    assert not np.allclose(before, after)
    order = np.argsort(before, kind="stable")
    assert (np.diff(after[order]) >= -1e-12).all()
    if not continuous:
        assert roc_auc_score(data.label, before) == pytest.approx(roc_auc_score(data.label, after))
    for training in (True, False):
        loaded = Predictor.load(again.save(tmp_path / f"{training}", training=training))
        assert np.array_equal(number(loaded, data), after)
        assert loaded.recalibration == again.recalibration
        assert loaded.digest == again.digest != base.digest
    assert "Saved" in capsys.readouterr().out
    table = again.score_table(data)
    column = "prediction" if continuous else "probability"
    np.testing.assert_allclose(table[column], after)
    assert set(table["recalibrated"]) == {str(again.recalibration)}
    assert "recalibrated" not in base.score_table(data)
    assert isinstance(again.uncertainty, Unknown)
    assert table["low" if continuous else "calibrated"].isna().all()
    pd.DataFrame({"id": data.ids, "heavy": data.heavy}).to_csv(tmp_path / "t.csv", index=False)
    (scored,) = score_file(tmp_path / "t.csv", again)
    np.testing.assert_allclose(scored.table[column], after)
    report = again.evaluate(data.subset(range(30, 60)))
    assert any("recalibrated on 30 antibodies" in note for note in report.remarks)
    assert "recalibrated on 30 antibodies" in str(report)
    own = again.evaluate(data.subset(range(30)))
    assert any("These are the tested antibodies" in note for note in own.remarks)
    scan = mutational_scan(again, VH[60], [50], plausibility=False)
    assert scan.prediction == pytest.approx(after[0])
    logit_of: Callable[[Any], Any] = lambda p: p if continuous or name == "votes" else np.log(p / (1 - p))  # noqa: E731
    shares = residue_contributions(again, VH[60])
    assert shares.score == pytest.approx(logit_of(after[0]))
    assert scan.score == pytest.approx(logit_of(after[0]))
    mutants_of = scan.to_frame()
    predicted = mutants_of["value" if continuous else "probability"].to_numpy()
    np.testing.assert_allclose(mutants_of["change"], logit_of(predicted) - scan.score, atol=1e-9)
    assert "recalibrated" in web._about(again)


@pytest.mark.parametrize("calibration", [None, "sigmoid"])
def test_contributions_of_a_recalibrated_classifier_sum_to_the_recalibrated_log_odds(
    calibration: Literal["sigmoid"] | None, checkpoints: dict[str, Path]
) -> None:
    spec = ExtractorSpec(model=str(checkpoints["esm"]))
    base = Trainer(spec, "logreg", decision=DecisionSpec(calibration=calibration)).fit(antibodies(0, 60))
    again = base.recalibrate(other().subset(range(30)))
    before, after = (residue_contributions(each, VH[70]) for each in (base, again))
    right = again.predict_proba([VH[70]])[0, 1]
    assert after.method == "exact"
    assert after.intercept is not None
    assert after.intercept + after.contributions.sum() == pytest.approx(np.log(right / (1 - right)), abs=1e-4)
    slope = again.classifier.slope
    assert abs(slope - 1) > 0.01
    np.testing.assert_allclose(after.contributions, slope * before.contributions, atol=1e-6)


def test_training_antibodies_of_the_model_in_a_recalibration_are_counted() -> None:
    base = model()
    trained = antibodies(0, 60)
    mixed = replace(
        other(), heavy=[*VH[:20], *VH[80:120]], label=np.concatenate([trained.binary_labels()[:20], np.zeros(40)])
    )
    with pytest.warns(UserWarning, match="20 of 60 antibodies of the recalibration are training antibodies"):
        again = base.recalibrate(mixed)
    assert again.recalibration is not None
    assert again.recalibration.shared == 20
    assert "20 of them training antibodies of the model" in str(again.recalibration)
    assert any("20 of 60 antibodies of the recalibration are training" in x for x in again.evaluate(other()).remarks)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clean = base.recalibrate(other().subset(range(30))).recalibration
    assert clean is not None
    assert clean.shared == 0
    assert "training" not in str(clean)


def test_test_antibodies_of_a_recalibration_are_counted_by_sequence(tmp_path: Path) -> None:
    data = other()
    again = model().recalibrate(data.subset(range(30)))
    part, rest = data.subset(range(20, 60)), data.subset(range(30, 60))
    for training, expected in ((None, "10 of 40"), (True, "10 of 40"), (False, "which is unknown")):
        loaded = again if training is None else Predictor.load(again.save(tmp_path / f"{training}", training=training))
        assert any(expected in note for note in loaded.evaluate(part).remarks)
        none = "None of these" if training is not False else "which is unknown"
        assert any(none in note for note in loaded.evaluate(rest).remarks)
    written = (tmp_path / "False/manifest.json").read_text()
    assert again.recalibration is not None
    assert again.recalibration.sequences
    assert not any(digest in written for digest in again.recalibration.sequences)


def test_repeated_antibodies_of_a_recalibration_are_counted() -> None:
    once = other().subset(range(30))
    label = np.tile(np.asarray(once.label, np.float64), 2)
    data = Dataset([f"b{i}" for i in range(60)], [*VH[60:90], *VH[60:90]], label=label)
    with pytest.warns(UserWarning, match="30 of 60 antibodies of the recalibration repeat"):
        again = model().recalibrate(data)
    assert again.recalibration is not None
    assert again.recalibration.repeated == 30


def test_a_recalibration_with_fixed_columns_is_of_their_values(tmp_path: Path) -> None:
    def with_columns(data: Dataset, start: int) -> Dataset:
        isotype = tuple(["IgG1", "IgG4"][(start + i) % 3 == 0] for i in range(len(data)))
        return replace(data, columns={"ph": (np.arange(len(data)) + start) % 5 / 1.0, "isotype": isotype})

    base = Trainer(CHARGES, LOGREG).fit(with_columns(antibodies(0, 60), 0), uncertainty=False)
    three = base.with_columns({"ph": 3, "isotype": "IgG1"}).recalibrate(other())
    assert three.recalibration is not None
    assert three.recalibration.fixed == {"ph": 3.0, "isotype": "IgG1"}
    assert "with isotype=IgG1, ph=3 for all" in str(three.recalibration)
    loaded = Predictor.load(three.save(tmp_path / "m"))
    assert loaded.recalibration == three.recalibration
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        three.predict(VH[:3])
        loaded.with_columns({"ph": "3.0", "isotype": "IgG1"}).predict(VH[:3])
        loaded.with_columns({"ph": 0, "isotype": "IgG4"}).recalibrate(other())
    for each in (three.with_columns({"ph": 0}), loaded.with_columns({"ph": 3, "isotype": "IgG4"})):
        with pytest.warns(UserWarning, match="3 of 3 antibodies have other values of isotype, ph than the recalib"):
            each.predict(VH[:3])
    rows = with_columns(other(), 60)
    with pytest.warns(UserWarning, match="of 60 antibodies have other values"):
        report = loaded.evaluate(rows)
    assert any("other values of isotype, ph" in note for note in report.remarks)
    read = base.recalibrate(rows)
    assert read.recalibration is not None
    assert not read.recalibration.fixed


def test_the_table_of_one_class_has_its_columns_apart() -> None:
    generator = np.random.default_rng(0)
    curve = recalibration_curve(generator.normal(size=40) * 2, np.zeros(40, int))
    assert isinstance(curve, RecalibrationCurve)
    head, *rows = str(curve).splitlines()[: len(curve.sizes) + 1]
    starts = [head.index(name) for name in ("log loss", "Brier score", "balanced", "constant")]
    for row in rows:
        assert "undefined" in row
        assert len(row) <= 80
        assert all(row[start - 1] == " " and row[start] != " " for start in starts)
    long = generator.normal(size=90) * 5e5
    wide = str(recalibration_curve(long, long + generator.normal(size=90) * 1e4, continuous=True))
    assert all("][" not in line and not re.search(r"\]\S", line) for line in wide.splitlines()[:6])


def test_one_antibody_and_an_unnamed_label_are_worded() -> None:
    alone = model().recalibrate(other().subset([0])).recalibration
    assert alone is not None
    assert "recalibrated on 1 antibody (" in str(alone)
    assert "1 antibody is too few" in str(alone.curve)
    assert "label label" not in str(replace(alone, label="label"))
    assert ", label PSR" in str(replace(alone, label="PSR"))


def test_a_second_recalibration_begins_from_the_model_as_it_was_trained() -> None:
    data = other()
    once = model().recalibrate(data)
    twice = model().recalibrate(data.subset(range(20))).recalibrate(data)
    assert np.array_equal(once.predict_proba(data), twice.predict_proba(data))


def test_thresholds_are_learnt_passed_or_those_of_an_assay() -> None:
    few = other().subset(range(20))
    positives = int(np.asarray(few.label).sum())
    for arguments, right in (
        ({}, (positives + 1) / 22),
        ({"threshold": None}, 0.5),
        ({"threshold": 0.3}, 0.3),
        ({"assay": "psr"}, 0.5495),
    ):
        again = model().recalibrate(few, **arguments)
        assert again.recalibration is not None
        assert again.recalibration.threshold == right
        assert np.array_equal(again.predict(few), again.predict_proba(few)[:, 1] >= right)
    assert threshold_of(np.array([]), "balanced_accuracy") == 0.5


@pytest.mark.parametrize(
    ("data", "arguments", "error", "reason"),
    [
        (replace(other(), label=None), {}, DatasetError, "needs labels"),
        (other(continuous=True), {}, DatasetError, "labels 0 and 1"),
        (other(), {"threshold": 2.0}, ValueError, "from 0 to 1"),
        (other(), {"threshold": True}, ValueError, "not True"),
        (other(), {"threshold": "mcc"}, ValueError, "balanced_accuracy"),
        (other(), {"assay": "hic"}, ValueError, "unknown assay"),
    ],
)
def test_what_cannot_be_recalibrated_is_refused(
    data: Dataset, arguments: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        model().recalibrate(data, **arguments)
    if "threshold" not in arguments and error is DatasetError and data.label is None:
        with pytest.raises(ValueError, match="regressor"):
            model("ridge", None, True).recalibrate(other(continuous=True), 0.5)


def test_a_panel_takes_a_recalibrated_model(tmp_path: Path) -> None:
    once = model("ridge", None, True)
    panel = Panel({"HIC": once, "other": once.recalibrate(other(continuous=True))})
    loaded = Panel.load(panel.save(tmp_path / "panel"))
    table = loaded.predict(VH[:3])
    assert (table["HIC prediction"] != table["other prediction"]).all()
    assert loaded["other"].recalibration == panel["other"].recalibration


def test_a_panel_says_at_every_door_that_a_model_was_recalibrated() -> None:
    charge = other(continuous=True)
    values = np.asarray(charge.label, np.float64)
    data = Dataset(charge.ids, VH[60:], measurements={"HIC": values, "Tm2": values}, targets=("HIC", "Tm2"))
    once = model("ridge", None, True)
    again = once.recalibrate(charge.subset(range(30)))
    panel = Panel({"HIC": once, "Tm2": again})
    grid = panel.evaluate(data, random_seeds=0)
    printed = " ".join(str(grid).split())
    assert printed.count(f"The model was {again.recalibration}") == 1
    assert "30 of 60 test antibodies are among these" in printed
    assert f"Tm2 was {again.recalibration}." in web_profile._about(panel)
    assert "HIC was" not in web_profile._about(panel)


def test_a_manifest_or_classifier_that_was_changed_is_refused(tmp_path: Path) -> None:
    again = model().recalibrate(other())
    again.save(tmp_path / "m")
    manifest = json.loads((tmp_path / "m/manifest.json").read_text())
    for name, value in (
        ("slope", "1"),
        ("antibodies", "9"),
        ("curve", {"scores": {}}),
        ("threshold", "x"),
        ("origin", 3),
        ("slope", 0.25),
    ):
        broken = json.loads(json.dumps(manifest))
        broken["data"]["recalibration"][name] = value
        broken["sha256"] = manifest_digest(broken)
        (tmp_path / "m/manifest.json").write_text(json.dumps(broken))
        with pytest.raises(StoreError, match="manifest"):
            Predictor.load(tmp_path / "m")
    for field, wrong in (("held_out", -3), ("draws", 1e400), ("sizes", [0, 10**4000]), ("change", [[10**400] * 3])):
        broken = json.loads(json.dumps(manifest))
        broken["data"]["recalibration"]["curve"][field] = wrong
        broken["sha256"] = manifest_digest(broken)
        (tmp_path / "m/manifest.json").write_text(json.dumps(broken))
        with pytest.raises(StoreError, match="manifest"):
            Predictor.load(tmp_path / "m")
    reversed_ = type(again.classifier)(again.classifier.classifier, -1.0, 0.0, 0.5)
    with pytest.raises(StoreError, match="slope"):
        loads(dumps(reversed_), tmp_path, regression=False)


def test_openings_of_a_test_set_are_counted_on_after_a_recalibration(tmp_path: Path) -> None:
    trained = model()
    test = other()
    for threshold in (0.3, 0.4):
        trained.evaluate(test, threshold=threshold)
    trained.save(tmp_path / "trained")
    again = Predictor.load(tmp_path / "trained").recalibrate(test)
    before = (tmp_path / "trained/openings.jsonl").read_bytes()
    assert again.evaluate(test).openings == 3
    assert (tmp_path / "trained/openings.jsonl").read_bytes() == before, "the log of the other model is left alone"


def test_the_command_saves_what_python_gives_and_says_if_it_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model().save("model")
    other().to_frame()[["id", "heavy", "label"]].assign(value=CHARGE[60:] + 0.5).to_csv("lab.csv", index=False)
    run = CliRunner().invoke
    done = run(app, ["recalibrate", "lab.csv", "-m", "model", "-o", "new", "--label", "label"])
    assert done.exit_code == 0, done.output
    right = model().recalibrate(other())
    assert right.recalibration is not None
    assert isinstance(right.recalibration.curve, RecalibrationCurve)
    assert right.recalibration.curve.sentence.split(":")[0] in done.stdout
    assert str(right.recalibration.curve) in done.stdout
    np.testing.assert_allclose(Predictor.load("new").predict_proba(other()), right.predict_proba(other()))
    for words, reason in (
        (["-o", "model"], "would replace"),
        (["-o", "new2", "--threshold", "low"], "Invalid value for '--threshold'"),
        (["-o", "new2", "--label", "value"], "lab.csv: column value: a classifier is recalibrated on the labels 0"),
        (["-o", "new2", "--label", "label", "--assay", "hic"], "or pass --threshold"),
    ):
        refused = run(app, ["recalibrate", "lab.csv", "-m", "model", *words])
        assert refused.exit_code != 0
        assert reason in refused.stderr
        assert "Traceback" not in refused.output
