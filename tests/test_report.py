import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from antibody_esm import Dataset, ExtractorSpec, LogisticRegressionSpec, SplitSpec, TrainSpec
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.reports.report import Report, cross_validation_report, evaluation_report

SPEC = TrainSpec(extractor=ExtractorSpec(model="a<b>"), split=SplitSpec(folds=2))
DATA = Dataset(ids=["a", "b", "c", "d"], heavy=["EV", "QV", "EV", "AA"], label=[0, 1, 1, 0])
FOUND = CrossValidation(
    scores={name: np.array([0.5, 1.0]) for name in ("accuracy", "balanced_accuracy", "f1", "mcc", "roc_auc", "pr_auc")},
    fold=np.array([0, 0, 1, 1]),
    prediction=np.array([0, 0, 1, 0]),
    probability=np.array([0.1, 0.4, 0.9, 0.2]),
)


@pytest.fixture
def report() -> Report:
    return cross_validation_report(SPEC, DATA, FOUND)


def test_the_table_gives_mean_and_standard_deviation_over_folds(report: Report) -> None:
    frame = report.to_frame()
    assert list(frame) == ["fold 0", "fold 1", "mean", "sd"]
    assert frame.loc["accuracy", "mean"] == 0.75
    assert frame.loc["accuracy", "sd"] == pytest.approx(np.std([0.5, 1.0], ddof=1))
    assert "accuracy                 0.750   0.354" in str(report)


def test_the_text_fits_a_terminal(report: Report) -> None:
    assert all(len(line) <= 80 for line in str(report).splitlines())
    assert repr(report) == str(report)


def test_repeated_and_contradictory_sequences_are_said(report: Report) -> None:
    assert "2 antibodies share their sequence with another one (1 sequences, 1 with\ncontradictory" in str(report)
    assert "accuracy of 0.500" in str(report)


def test_groups_that_are_not_kept_together_are_said() -> None:
    data = Dataset(ids=["a", "b", "c", "d"], heavy=["EV", "QV", "EV", "AA"], label=[0, 1, 1, 0], groups=["x"] * 4)
    assert "Groups were not kept together" in str(cross_validation_report(SPEC, data, FOUND))


def test_families_that_are_left_out_are_kept_together_and_said() -> None:
    data = Dataset(ids=["a", "b", "c", "d"], heavy=["EV", "QV", "EV", "AA"], label=[0, 1, 1, 0], groups=[*"xxyy"])
    spec = TrainSpec(extractor=ExtractorSpec(model="m"), split=SplitSpec(by="family"))
    text = str(cross_validation_report(spec, data, FOUND))
    assert "4 antibodies, 2 positive (50%), 2 families, each left out once" in text
    assert "Groups were not kept together" not in text


def test_clusters_are_said_and_repeated_sequences_do_not_flatter() -> None:
    spec = TrainSpec(extractor=ExtractorSpec(model="m"), split=SplitSpec(by="identity", identity=0.8, folds=2))
    text = str(cross_validation_report(spec, DATA, FOUND))
    assert "2 folds of clusters at 80% identity" in text
    assert "tested together" in text
    assert "flatter" not in text


def test_repeats_are_rows_of_their_own_and_antibodies_are_counted_once() -> None:
    spec = TrainSpec(extractor=ExtractorSpec(model="m"), split=SplitSpec(folds=2, repeats=2))
    found = CrossValidation(
        scores={name: np.array([0.5, 1.0, 0.0, 0.5]) for name in FOUND.scores},
        fold=np.array([[0, 1], [0, 0], [1, 1], [1, 0]]),
        prediction=np.array([[0, 1], [0, 1], [1, 1], [0, 0]]),
        probability=np.array([[0.1, 0.6], [0.4, 0.7], [0.9, 0.8], [0.2, 0.3]]),
    )
    report = cross_validation_report(spec, DATA, found)
    out = report.out_of_fold
    assert list(out) == ["id", "label", "repeat", "fold", "prediction", "probability"]
    assert list(out["id"]) == [*"abcdabcd"]
    assert list(out["repeat"]) == [0] * 4 + [1] * 4
    assert list(out["probability"]) == [0.1, 0.4, 0.9, 0.2, 0.6, 0.7, 0.8, 0.3]
    assert list(report.to_frame()) == ["fold 0", "fold 1", "fold 2", "fold 3", "mean", "sd"]
    assert "4 antibodies, 2 positive (50%), 2 stratified folds, 2 times" in str(report)
    assert (report.to_dict()["antibodies"], report.to_dict()["positives"]) == (4, 2)


def test_the_title_tells_two_layers_and_two_penalties_apart() -> None:
    spec = TrainSpec(extractor=ExtractorSpec(model="m", layer=3), classifier=LogisticRegressionSpec(C=2))
    report = evaluation_report(spec, DATA, np.array([0, 1, 1, 0]), np.array([0.1, 0.8, 0.9, 0.2]))
    assert str(report).startswith("Test of m (layer=3) + logreg (C=2.0)\n")


def test_undefined_scores_are_shown_as_such_and_are_null_in_json() -> None:
    data = Dataset(ids=["a", "b"], heavy=["EV", "QV"], label=[0, 1])
    report = evaluation_report(SPEC, data, np.array([0, 1]), np.array([0.1, 0.8]))
    broken = Report(SPEC, "x", report.scores | {"roc_auc": np.array([np.nan])}, report.predictions)
    assert "nan" in str(broken)
    assert json.loads(json.dumps(broken.to_dict(), allow_nan=False))["scores"]["roc_auc"] == {"score": None}


def test_the_dictionary_holds_every_fold(report: Report) -> None:
    found = report.to_dict()
    assert found["scores"]["mcc"] == {"mean": 0.75, "sd": pytest.approx(0.35355339), "folds": [0.5, 1.0]}
    assert (found["antibodies"], found["positives"]) == (4, 2)


def test_the_page_stands_alone_and_escapes_what_it_is_given(report: Report, tmp_path: Path) -> None:
    page = report.to_html(tmp_path / "report.html").read_text()
    assert "a&lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page
    assert "0.750" in page


def test_out_of_fold_predictions_are_a_frame_of_ids(report: Report) -> None:
    expected = pd.DataFrame(
        {"id": ["a", "b", "c", "d"], "label": [0, 1, 1, 0], "fold": [0, 0, 1, 1], "prediction": [0, 0, 1, 0]}
    )
    pd.testing.assert_frame_equal(report.out_of_fold.drop(columns="probability"), expected)
