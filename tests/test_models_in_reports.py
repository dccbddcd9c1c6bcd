"""Reports on models of one pipeline that differ: recalibrated or not, and fitted on other antibodies."""

import json
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from antibody_esm import Dataset, DatasetError, Predictor, RidgeSpec, Trainer
from reporting import CHARGES, LOGREG, antibodies


@cache
def model(*, continuous: bool = False, seed: int = 0) -> Predictor:
    classifier = RidgeSpec(standardize=True) if continuous else LOGREG
    return Trainer(CHARGES, classifier).fit(antibodies(continuous=continuous, seed=seed))


def lab(*, continuous: bool = False, seed: int = 7) -> Dataset:
    """Few antibodies of another laboratory."""
    return antibodies(30, None if continuous else 8, seed=seed, continuous=continuous, source="lab.csv")


def new_ones(*, continuous: bool = False) -> Dataset:
    return antibodies(40, seed=3, continuous=continuous, source="new.csv")


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("threshold", ["balanced_accuracy", None, 0.3])
def test_pasted_lines_recalibrate_as_the_model_was(continuous: bool, threshold: str | float | None) -> None:
    options = {} if continuous else {"threshold": threshold}
    again = model(continuous=continuous).recalibrate(lab(continuous=continuous), **options)  # type: ignore[arg-type]
    report = again.evaluate(new_ones(continuous=continuous))
    assert not report.predictions.equals(
        model(continuous=continuous).evaluate(new_ones(continuous=continuous)).predictions
    )
    with pytest.raises(DatasetError, match="left open"):
        exec(report.python, {})  # noqa: S102
    sets = iter([antibodies(continuous=continuous), new_ones(continuous=continuous), lab(continuous=continuous)])
    program = report.python.replace("load_dataset(...)", "next(sets)").replace('"embeddings/"', "None")
    names = {"sets": sets}
    exec(program, names)  # noqa: S102
    pd.testing.assert_frame_equal(names["report"].predictions, report.predictions)  # type: ignore[attr-defined]
    sets = iter(
        [antibodies(continuous=continuous), new_ones(continuous=continuous), lab(continuous=continuous, seed=8)]
    )
    with pytest.raises(AssertionError):
        exec(program, {"sets": sets})  # noqa: S102


def test_json_has_the_threshold_that_decided_and_the_recalibration(tmp_path: Path) -> None:
    again = model().recalibrate(lab())
    assert again.recalibration is not None
    for each in (again, Predictor.load(again.save(tmp_path / "model"))):
        report = each.evaluate(new_ones())
        found = json.loads(report.to_json(tmp_path / "report.json").read_text())
        cut = found["threshold"]
        assert cut == again.recalibration.threshold != 0.5
        assert (report.predictions["prediction"] == (report.predictions["probability"] >= cut)).all()
        assert found["recalibrated"]["digest"] == lab().digest
        assert found["recalibrated"]["source"] == "lab.csv"
        assert found["recalibrated"]["antibodies"] == 30
        assert found["recalibrated"]["slope"] == again.recalibration.slope
        assert each.evaluate(new_ones(), threshold=0.25).to_dict()["threshold"] == 0.25
    plain = model().evaluate(new_ones()).to_dict()
    assert plain["threshold"] is None
    assert "recalibrated" not in plain
    values = model(continuous=True).recalibrate(lab(continuous=True)).evaluate(new_ones(continuous=True)).to_dict()
    assert values["threshold"] is None
    assert values["recalibrated"]["intercept"] is not None
