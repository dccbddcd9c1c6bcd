import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import (
    Dataset,
    DecisionSpec,
    DescriptorSpec,
    ExtractorSpec,
    FineTuneSpec,
    LogisticRegressionSpec,
    Predictor,
    SplitSpec,
    Trainer,
    TrainSpec,
    TuneSpec,
    load_dataset,
    presets,
)
from antibody_esm.data.provenance import WITHOUT_NAME, Provenance
from antibody_esm.evaluation.baselines import BASELINES, cross_validate_baselines, fit_baselines
from antibody_esm.evaluation.intervals import CROSS_VALIDATION, SIMULATED, corrected_resampled_t, delong, short
from antibody_esm.evaluation.metrics import CONTINUOUS_METRICS, METRIC, METRICS
from antibody_esm.evaluation.overlap import Clones
from antibody_esm.evaluation.paired import corrected_resampled_t_test
from antibody_esm.evaluation.predictions import Predictions
from antibody_esm.reports import context, names, notes, reproduction
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.report import Report, evaluation_report
from effort import examples
from reporting import CHARGES, LOGREG, antibodies, cross_validated, held_out
from strategies import trains

SPEC = TrainSpec(extractor=ExtractorSpec(model="m"))
FOUR = Dataset(ids=["a", "b", "c", "d"], heavy=["EV", "QV", "EV", "AA"], label=[0, 1, 1, 0])
WITHOUT_GROUPS = Dataset(antibodies().ids, antibodies().heavy, label=antibodies().label, fragment="H-CDRs")


@pytest.fixture(scope="module")
def report() -> Report:
    return cross_validated()


@pytest.fixture(scope="module")
def held_out_report() -> Report:
    return held_out(antibodies(50, seed=1))


def test_the_frame_gives_folds_mean_deviation_and_interval(report: Report) -> None:
    frame = report.to_frame()
    assert list(frame) == ["fold 0", "fold 1", "fold 2", "fold 3", "mean", "sd", "low", "high"]
    assert list(frame.index) == list(METRICS)
    values = report.scores["roc_auc"]
    assert frame.loc["roc_auc", "mean"] == pytest.approx(values.mean())
    assert frame.loc["roc_auc", "sd"] == pytest.approx(values.std(ddof=1))
    expected = corrected_resampled_t(values, 1 / 3, bounds=(0, 1))
    assert frame.loc["roc_auc", ["low", "high"]].tolist() == pytest.approx([expected.low, expected.high])


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("test", [False, True])
def test_the_text_fits_a_terminal_and_holds_the_scores(continuous: bool, test: bool) -> None:
    data = antibodies(64, seed=1, continuous=continuous)
    classifier = "ridge" if continuous else "logreg"
    report = held_out(data, classifier) if test else cross_validated(data, classifier)
    lines = str(report).splitlines()
    assert all(len(line) <= 80 for line in lines)
    for metric in CONTINUOUS_METRICS if continuous else METRICS:
        value = np.mean(report.scores[metric])
        assert any(line.startswith(METRIC[metric].title) and f" {short(value, 3)}" in line for line in lines)
    assert f"{'Spearman' if continuous else 'ROC AUC'} of baselines" in lines


def test_baselines_are_those_of_the_same_folds(report: Report) -> None:
    expected = cross_validate_baselines(report.data, report.spec.split)
    assert report.baselines.absent == expected.absent
    assert set(report.baselines.found) | set(report.baselines.absent) == set(BASELINES)
    for name, one in report.baselines.found.items():
        np.testing.assert_array_equal(one.scores["roc_auc"], expected.found[name].scores["roc_auc"])
        title = report.baseline_title(name)
        mean = short(one.scores["roc_auc"].mean(), 3)
        assert any(line.startswith(title) and mean in line for line in _lines(report))
        np.testing.assert_allclose(one.rows.fold_scores()["roc_auc"], one.scores["roc_auc"])


def test_baselines_of_a_test_are_fitted_on_its_training_set(held_out_report: Report) -> None:
    expected = fit_baselines(antibodies()).score(held_out_report.data)
    assert held_out_report.baselines.found.keys() == expected.found.keys()
    for name, one in held_out_report.baselines.found.items():
        assert one.scores["roc_auc"][0] == expected.found[name].scores["roc_auc"]


def test_baselines_come_best_first_and_the_sentence_is_of_the_best(report: Report) -> None:
    means = [one.scores["roc_auc"].mean() for _, one in report.ranked_baselines]
    assert means == sorted(means, reverse=True)
    best, scored = report.ranked_baselines[0]
    first = report.comparisons[0]
    assert (first.one, first.other) == (report.pipeline, report.baseline_title(best))
    assert first.family == len(report.comparisons) == len(report.baselines.found)
    expected = corrected_resampled_t_test(report.scores["roc_auc"], scored.scores["roc_auc"], 1 / 3, "roc_auc")
    assert first.p_value == pytest.approx(expected.p_value)
    assert first.adjusted >= first.p_value
    said = " ".join(str(report).split())
    assert first.sentence(subject=False, test=False) in said
    assert first.test[1:] in said


def test_intervals_of_cross_validation_are_said_to_be_nominal(report: Report) -> None:
    assert not any(one.claimed for one in report.intervals.values())
    assert CROSS_VALIDATION in " ".join(str(report).split())


def test_intervals_of_independent_test_rows_are_claimed(held_out_report: Report) -> None:
    frame = held_out_report.predictions
    rows = Predictions(fold=None, **{name: frame[name] for name in ("label", "prediction", "probability")})
    assert held_out_report.intervals["roc_auc"] == delong(rows)
    assert held_out_report.intervals["roc_auc"].claimed
    assert CROSS_VALIDATION not in " ".join(str(held_out_report).split())
    assert "clusters" not in str(held_out_report)


def test_test_antibodies_that_are_alike_count_as_one() -> None:
    one = antibodies(40, seed=2)
    twice = Dataset(ids=[str(i) for i in range(80)], heavy=[*one.heavy, *one.heavy], label=[*one.label, *one.label])
    alone, doubled = held_out(one), held_out(twice)
    assert "80 antibodies are 40 clusters at 90% identity; intervals count them as 40.0" in str(doubled)
    assert doubled.intervals["roc_auc"].method == "DeLong, effective size"
    assert doubled.intervals["brier"].method == "cluster bootstrap"
    widths = [report.intervals["specificity"].width for report in (alone, doubled)]
    assert widths[1] > 0.9 * widths[0]
    assert all(one.difference.method == "DeLong, effective size" for one in doubled.comparisons)


def test_seven_positives_with_one_pair_of_clones_are_not_claimed_and_the_report_gives_the_reason() -> None:
    data = antibodies(90, 7, seed=3)
    first, second, *_ = np.flatnonzero(np.asarray(data.label))
    heavy = list(data.heavy)
    heavy[second] = heavy[first]
    report = held_out(Dataset(ids=data.ids, heavy=heavy, label=data.label))
    reason = "7 positive antibodies in 6 clusters count as 5.4 independent ones, fewer than the 6 that a claim needs."
    titles = "ROC AUC, PR AUC, balanced accuracy, sensitivity, F1, Matthews correlation"
    note = f"No coverage is claimed for the intervals of {titles}: {reason}"
    assert note in report.remarks
    assert note in " ".join(str(report).split())
    interval = report.to_dict()["intervals"]["roc_auc"]
    assert (interval["claimed"], interval["unclaimed"]) == (False, reason.removesuffix("."))
    assert report.to_dict()["intervals"]["specificity"]["unclaimed"] is None
    assert not any("No coverage" in one for one in held_out(data).remarks)


ODD = {
    "constant": (np.full(12, 0.5), [0, 1] * 6),
    "perfect": (np.array([0.1, 0.9] * 6), [0, 1] * 6),
    "a family without positives": (np.linspace(0.1, 0.9, 12), [1, *[0] * 10, 1]),
}


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("name", ODD)
def test_no_sentence_table_or_page_ever_shows_nan_and_json_has_null(name: str, folded: bool, tmp_path: Path) -> None:
    probability, label = ODD[name]
    data = Dataset(ids=[*"abcdefghijkl"], heavy=antibodies().heavy[:12], label=label, groups=[*"aaaabbbbcccc"])
    predicted = (probability > 0.5).astype(int)
    report = evaluation_report(SPEC, data, predicted, probability, training=antibodies())
    if folded:
        fold = np.arange(12) // 4
        rows = Predictions(label=np.array(label), prediction=predicted, probability=probability, fold=fold)
        spec = SPEC.model_copy(update={"split": SplitSpec(by="family")})
        report = Report(spec, data, rows.fold_scores(), report.predictions.assign(fold=fold))
    grid = GridReport([report])
    shown = [str(report), report._repr_html_(), str(grid), *map(str, report.comparisons), *report.remarks]
    page = report.to_html(tmp_path / "report.html").read_text()
    assert not re.search(r"\bnan\b", " ".join([*shown, re.sub(r"<svg.*?</svg>", "", page, flags=re.S)]), flags=re.I)
    assert not [one for one in re.findall(r">([^<]*)</text>", page) if re.search(r"\bnan\b", one, flags=re.I)]
    for written in (report.to_json(tmp_path / "report.json"), grid.to_json(tmp_path / "grid.json")):
        json.loads(written.read_text(), parse_constant=pytest.fail)


def test_numbers_have_one_format_in_text_and_page(report: Report, tmp_path: Path) -> None:
    text = str(report) + report._repr_html_()
    assert not re.findall(r"(?<![\d.])0\.\d+", text)
    page = report.to_html(tmp_path / "report.html").read_text()
    body = re.sub(
        r"<style>.*?</style>|<h2>How to reproduce it.*?</section>|<h2>Provenance.*?</section>", "", page, flags=re.S
    )
    numbers = re.findall(r"(?<![\d.])0\.\d+", re.sub(r"<[^>]*>", " ", body))
    assert numbers == []
    assert "\N{MINUS SIGN}" not in page


@pytest.mark.parametrize(
    ("data", "spec", "cited"),
    [
        (antibodies(120), {}, True),
        (antibodies(120), {"split": SplitSpec(random_state=3)}, True),
        (antibodies(90), {}, False),
        (antibodies(120, 20), {}, False),
        (antibodies(120), {"split": SplitSpec(folds=5)}, False),
        (antibodies(120), {"split": SplitSpec(repeats=2)}, False),
        (antibodies(120), {"split": SplitSpec(by="identity")}, False),
        (antibodies(120), {"classifier": presets.ESTIMATORS["xgboost"]}, False),
        (antibodies(120), {"classifier": LogisticRegressionSpec(C=0.1)}, False),
        (antibodies(120), {"decision": DecisionSpec(calibration="sigmoid")}, False),
    ],
)
def test_simulations_of_ten_folds_are_cited_only_for_designs_that_were_simulated(
    data: Dataset, spec: dict[str, object], cited: bool
) -> None:
    alone = Dataset(ids=data.ids, heavy=data.heavy, label=data.label)
    note = notes.nominal(alone, SPEC.model_copy(update=spec))
    assert note.startswith(CROSS_VALIDATION)
    assert (SIMULATED in note) == cited
    assert SIMULATED not in notes.nominal(data, SPEC.model_copy(update=spec)), "groups are no independent antibodies"


def test_of_one_cluster_nothing_is_known() -> None:
    clones = Dataset(ids=["a", "b", "c"], heavy=["EVQLVESGGGKKGGGSKK"] * 3, label=[1, 0, 1], fragment="H-CDRs")
    report = held_out(clones)
    assert all(np.isnan(one.width) for one in report.intervals.values())
    assert all(one.verdict == "undecided" for one in report.comparisons)
    assert "unknown" in str(report)


@pytest.mark.parametrize("continuous", [False, True])
def test_a_loaded_model_has_the_report_of_the_one_that_was_saved(continuous: bool, tmp_path: Path) -> None:
    data = antibodies(50, seed=1, continuous=continuous)
    predictor = Trainer(CHARGES, "ridge" if continuous else LOGREG).fit(antibodies(continuous=continuous))
    expected = predictor.evaluate(data)
    loaded = Predictor.load(predictor.save(tmp_path / "model")).evaluate(data)
    assert expected.training is antibodies(continuous=continuous)
    assert loaded.baselines.found.keys() == expected.baselines.found.keys() != set()
    assert str(loaded) == str(expected)
    assert loaded.to_dict() == expected.to_dict()
    assert np.array_equal(loaded.identity, expected.identity)


def test_a_model_that_was_saved_without_its_training_antibodies_says_so(tmp_path: Path) -> None:
    predictor = Trainer(CHARGES).fit(antibodies())
    loaded = Predictor.load(predictor.save(tmp_path / "model", training=False))
    report = loaded.evaluate(antibodies(50, seed=1))
    assert (report.training, report.identity, report.overlap) == (None, None, None)
    assert not report.baselines.found
    assert report.comparisons == ()
    why = "unknown: saved without its training antibodies."
    assert report.remarks[0] == f"Overlap with the training antibodies, and identity to them, are {why}"
    assert "Without any baseline: saved without its training antibodies." in str(report)
    assert (loaded.score_table(antibodies())["warning"] == "identity " + why.removesuffix(".")).all()
    assert loaded.score_table(antibodies())[["identity", "distance"]].isna().all(axis=None)


def test_baselines_of_another_fragment_are_absent_with_the_reason(held_out_report: Report) -> None:
    other = Report(
        held_out_report.spec,
        held_out_report.data,
        held_out_report.scores,
        held_out_report.predictions,
        training=_light(),
    )
    assert not other.baselines.found
    assert "cannot be scored on heavy H-CDRs ones" in " ".join(str(other).split())


def test_of_very_many_antibodies_the_slow_baselines_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "MANY", 30)
    report = Trainer(CHARGES, split=SplitSpec(folds=2)).cross_validate(antibodies(44, seed=9))
    assert "composition" in report.baselines.found
    assert set(report.baselines.absent) == {
        *("kmers", "germline", "germline_distance", "positions", "nearest_neighbour")
    }
    assert report.identity is None


def test_seven_positives_show_no_accuracy_and_how_wide_the_interval_is() -> None:
    report = held_out(antibodies(90, 7, seed=3))
    shown = str(report)
    interval = report.intervals["roc_auc"]
    assert f"Only 7 of 90 antibodies are positive: ROC AUC is {interval}, an interval" in " ".join(shown.split())
    assert not any(line.startswith("accuracy") for line in shown.splitlines())
    assert any(line.startswith("balanced accuracy") for line in shown.splitlines())
    assert "<th scope='row'>accuracy</th>" not in report._repr_html_()
    assert "accuracy" in report.to_dict()["scores"]


def test_enough_positives_show_accuracy_beside_that_of_the_larger_class(report: Report) -> None:
    assert any(line.startswith("accuracy") for line in str(report).splitlines())
    assert "larger class for every antibody has an accuracy of .500" in str(report)


def test_folds_in_which_a_metric_is_not_defined_are_counted() -> None:
    label = np.array([0] * 20 + [1, 0] * 10)
    groups = ["no positives"] * 20 + ["one"] * 10 + ["two"] * 10
    data = Dataset(
        ids=antibodies().ids[:40], heavy=antibodies().heavy[:40], label=label, groups=groups, fragment="H-CDRs"
    )
    report = cross_validated(data, split=SplitSpec(by="family"))
    assert np.isnan(report.scores["roc_auc"]).sum() == 1
    said = " ".join(str(report).split())
    assert "ROC AUC is not defined in 1 of 3 folds; its mean is that of the other 2." in said
    assert "Brier score is not defined" not in said


def test_identity_is_that_to_the_nearest_antibody_of_the_other_folds() -> None:
    sequences = [
        "EVQLVESGGG",
        "EVQLVESGGG",
        "EVQLVQSGGG",
        "DIQMTQSPSS",
        "DIQMTQSPSA",
        "QSALTQPPSA",
        "SYELTQPPSV",
        "KKRKKRKKKR",
    ]
    data = Dataset(
        ids=[str(i) for i in range(8)], heavy=sequences, label=[0, 1] * 4, groups=[*"aabbbbbb"], fragment="H-CDRs"
    )
    report = cross_validated(data, split=SplitSpec(by="family"))
    assert report.identity is not None
    np.testing.assert_allclose(report.identity[:5], [0.9, 0.9, 0.9, 0.3, 0.3], atol=0.11)
    assert report.identity[0] == report.identity[1] == 0.9, "the twin is in the same fold"


def test_identity_of_repeats_follows_the_folds_of_each() -> None:
    report = cross_validated(WITHOUT_GROUPS, split=SplitSpec(folds=3, repeats=2))
    assert report.identity is not None
    assert report.identity.shape == (len(report.predictions),) == (120,)
    from antibody_esm.data.identity import identity

    fold, heavy = report.predictions["fold"].to_numpy()[60:], WITHOUT_GROUPS.heavy
    expected = max(identity(heavy[0], heavy[i]) for i in range(60) if fold[i] != fold[0])
    assert report.identity[60] == pytest.approx(expected)


def test_identity_of_a_test_is_that_to_the_training_set() -> None:
    report = held_out(antibodies())
    assert report.identity is not None
    assert (report.identity == 1).all()


def test_families_are_the_groups_else_the_v_genes() -> None:
    assert list(cross_validated().family[:3]) == ["HIV", "influenza", "gut"]
    assert cross_validated(WITHOUT_GROUPS).family is None
    vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    vh += "SRWGGDGFYAMDYWGQGTLVTVSS"
    data = Dataset(ids=["a", "b"], heavy=[vh, "EVQLV"], label=[0, 1])
    report = evaluation_report(SPEC, data, np.array([0, 1]), np.array([0.1, 0.9]))
    assert list(report.family) == ["human IGHV3", "unknown"]


def test_repeated_and_contradictory_sequences_are_said() -> None:
    data = Dataset(
        ids=[*antibodies().ids, "again"],
        heavy=[*antibodies().heavy, antibodies().heavy[0]],
        label=[*antibodies().label, 1 - antibodies().label[0]],
        fragment="H-CDRs",
    )
    said = " ".join(str(cross_validated(data)).split())
    assert "1 exact duplicate (again) of 1 sequence that occurs more than once, 1 with contradictory labels; if" in said
    assert "scores are optimistic" in said
    together = " ".join(str(cross_validated(data, split=SplitSpec(by="identity", identity=0.8, folds=4))).split())
    assert "4 folds of clusters at 80% identity" in together
    assert "tested together" in together
    assert "optimistic" not in together


def test_groups_that_are_not_kept_together_are_said(report: Report) -> None:
    assert "Groups were not kept together" in str(report)
    families = str(cross_validated(split=SplitSpec(by="family")))
    assert "60 antibodies, 30 positive (50%), 3 families, each left out once" in families
    assert "Groups were not kept together" not in families


def test_repeats_are_rows_of_their_own_and_antibodies_are_counted_once() -> None:
    report = cross_validated(WITHOUT_GROUPS, split=SplitSpec(folds=3, repeats=2))
    out = report.out_of_fold
    assert list(out) == ["id", "label", "repeat", "fold", "prediction", "probability"]
    assert list(out["id"]) == [*WITHOUT_GROUPS.ids] * 2
    assert list(report.to_frame())[:7] == [*(f"fold {i}" for i in range(6)), "mean"]
    assert "60 antibodies, 30 positive (50%), 3 stratified folds, 2 times" in str(report)
    assert (report.to_dict()["antibodies"], report.to_dict()["positives"]) == (60, 30)
    np.testing.assert_allclose(report.scored.rows.fold_scores()["roc_auc"], report.scores["roc_auc"])
    expected = corrected_resampled_t(report.scores["roc_auc"], 1 / 2, bounds=(0, 1))
    assert report.intervals["roc_auc"] == expected
    assert report.comparisons[0].difference.width > 0
    assert len(report.scored.first) == 60


def test_the_title_tells_two_layers_and_two_penalties_apart() -> None:
    spec = TrainSpec(extractor=ExtractorSpec(model="m", layer=3), classifier=LogisticRegressionSpec(C=2))
    report = evaluation_report(spec, FOUR, np.array([0, 1, 1, 0]), np.array([0.1, 0.8, 0.9, 0.2]))
    assert str(report).startswith("Test of m (layer=3) + logreg (C=2.0)\n")


def test_undefined_scores_are_null_in_json(report: Report, tmp_path: Path) -> None:
    broken = Report(report.spec, report.data, report.scores | {"roc_auc": np.full(4, np.nan)}, report.predictions)
    assert "undefined" in str(broken)
    assert "nan" not in str(broken) + broken._repr_html_()
    found = json.loads(broken.to_json(tmp_path / "report.json").read_text())
    assert found["scores"]["roc_auc"] == {"mean": None, "sd": None, "folds": [None] * 4}
    assert found["intervals"]["roc_auc"]["low"] is None


def test_the_dictionary_holds_all_that_the_text_does_and_more(report: Report) -> None:
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert found["scores"]["mcc"]["folds"] == report.scores["mcc"].tolist()
    assert found["notes"] == list(report.remarks)
    assert found["comparisons"][0]["sentence"] == str(report.comparisons[0])
    assert TrainSpec.model_validate_json(json.dumps(found["spec"])) == report.spec
    assert found["fingerprints"]["train"] == report.spec.fingerprint
    assert found["data_digest"] == report.data.digest
    assert {"python", "numpy", "scikit-learn", "antibody_esm"} <= found["versions"].keys()
    for name, one in report.baselines.found.items():
        assert found["baselines"][name]["roc_auc"]["estimate"] == pytest.approx(one.scores["roc_auc"].mean())
    assert {*found["baselines"], *found["without_baselines"]} == set(BASELINES)


def test_the_summary_computes_no_baseline() -> None:
    report = Trainer(CHARGES, split=SplitSpec(folds=2)).cross_validate(antibodies(30, seed=8))
    assert report.summary["scores"].keys() == set(METRICS)
    assert "baselines" not in report.__dict__


def test_predictions_are_written_with_identity_and_family(report: Report, tmp_path: Path) -> None:
    with report.to_csv(tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "label", "fold", "prediction", "probability", "identity", "family"]
    assert [row["family"] for row in rows] == list(report.data.groups)
    assert [float(row["identity"]) for row in rows] == pytest.approx(list(report.identity))
    assert [float(row["probability"]) for row in rows] == pytest.approx(report.predictions["probability"].tolist())


def test_the_lines_to_reproduce_it_do(report: Report, held_out_report: Report) -> None:
    data = iter([antibodies(), antibodies(), antibodies(50, seed=1)])
    for one in (report, held_out_report):
        program = one.python.replace("load_dataset(...)", "next(data)").replace('"embeddings/"', "None")
        names: dict[str, object] = {"data": None}
        exec(program.replace("next(data)", "next(given)"), names | {"given": data}, names)  # noqa: S102
        found = names["report"]
        assert isinstance(found, Report)
        pd.testing.assert_frame_equal(found.predictions, one.predictions)


@examples(150)
@given(trains)
def test_the_command_to_reproduce_it_gives_the_same_spec(spec: TrainSpec) -> None:
    overrides = reproduction.overrides(spec)
    if overrides is not None:
        assert TrainSpec.compose(overrides) == spec


def test_presets_are_reproduced_by_name() -> None:
    for name, extractor in presets.EXTRACTORS.items():
        found = reproduction.overrides(TrainSpec(extractor=extractor))
        assert found is not None
        assert presets.EXTRACTORS[found[0].removeprefix("model=")] == extractor, name
    spec = TrainSpec(extractor=DescriptorSpec(descriptors=("length",)), split=SplitSpec(folds=5))
    words = "antibody-train data=... model=descriptors 'extractor.descriptors=[length]' classifier=logreg"
    assert reproduction.command(spec) == f"{words} classifier.standardize=false split.folds=5"
    suited = spec.model_copy(update={"classifier": presets.classifier("logreg", spec.extractor)})
    assert reproduction.command(suited) == f"{words} split.folds=5"


@given(st.sampled_from(sorted(presets.EXTRACTORS)), st.integers(0, 5))
def test_a_pinned_model_agrees_with_what_it_was_pinned_from(name: str, layer: int) -> None:
    one = presets.EXTRACTORS[name]
    if not isinstance(one, ExtractorSpec):
        return
    pinned = one.model_copy(update={"digest": "0" * 64, "layer": layer})
    assert names.agree(one, pinned)
    assert names.agree(pinned, one)
    assert not names.agree(one, pinned.model_copy(update={"pooling": "max"}))
    assert not names.agree(pinned, pinned.model_copy(update={"layer": layer + 1}))
    assert not names.agree(one, one.model_copy(update={"layer": layer}))


def test_test_sets_without_a_name_are_counted_each_on_its_own() -> None:
    predictor = Trainer(CHARGES).fit(antibodies(), uncertainty=False, scores=False)
    sets = [antibodies(64, seed=seed) for seed in (1, 2, 3)]
    frames = [each.to_frame() for each in sets]
    in_python = [replace(each, provenance=Provenance("given in Python")) for each in sets]
    every: list[Any] = [*in_python, *frames]
    for data in every:
        assert predictor.evaluate(data, check=False).openings == 1
    assert {load_dataset(frames[0]).provenance.source, in_python[0].provenance.source} == set(WITHOUT_NAME)
    again = predictor.evaluate(in_python[0], threshold=0.3)
    assert again.openings == 2
    assert "this test set was opened 2 times" in " ".join(again.notes)
    named = [replace(each, provenance=Provenance("test.csv")) for each in sets]
    assert [predictor.evaluate(data).openings for data in named] == [1, 2, 3]


def test_scores_of_a_report_cannot_be_changed(tmp_path: Path) -> None:
    trainer = Trainer(CHARGES, split=SplitSpec(folds=3))
    report = trainer.cross_validate(antibodies())
    for scores in (report.scores, trainer.fit(antibodies(), uncertainty=False).evaluate(antibodies()).scores):
        with pytest.raises(ValueError, match="read-only"):
            scores["roc_auc"][:] = 1


def test_a_curve_of_a_frozen_or_an_untuned_model_is_not_that_of_another() -> None:
    report = Trainer(CHARGES, split=SplitSpec(folds=3)).cross_validate(antibodies())
    curve = Trainer(CHARGES, split=SplitSpec(folds=3)).learning_curve(antibodies(), draws=2)
    assert report.with_curve(curve).curve is not None
    for changed in ({"finetune": FineTuneSpec(rank=4)}, {"tune": TuneSpec(grid={"pca": (1, 2)})}):
        other = replace(report, spec=report.spec.model_copy(update=changed))
        with pytest.raises(ValueError, match="the learning curve is of .*, the report of"):
            other.with_curve(curve)
        with pytest.raises(ValueError, match="the learning curve is of .*, the report of"):
            report.with_curve(replace(curve, spec=other.spec))


def test_a_report_of_a_fine_tuned_model_states_why_there_is_no_second_score() -> None:
    report = Trainer(CHARGES, split=SplitSpec(folds=3)).cross_validate(antibodies())
    for finetune, reason in (
        (None, "made without vectors"),
        (FineTuneSpec(rank=4), "fine-tune the language model again"),
    ):
        bare = replace(report, again=None, spec=report.spec.model_copy(update={"finetune": finetune}))
        vars(bare)["clones"] = Clones(40, 40, 20)
        assert reason in str(bare.second)


def _lines(report: Report) -> list[str]:
    return str(report).splitlines()


def _light() -> Dataset:
    return Dataset(ids=antibodies().ids, light=antibodies().heavy, label=antibodies().label, chain="light")


def test_a_threshold_is_said_and_reproduced() -> None:
    predictor = Trainer(CHARGES).fit(antibodies())
    report = predictor.evaluate(antibodies(64, seed=1), threshold=0.25)
    assert "The threshold is .25." in " ".join(str(report).split())
    assert "evaluate(data, threshold=0.25)" in report.python
    assert report.openings == 1
