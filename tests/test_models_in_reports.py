"""Reports on models of one pipeline that differ: recalibrated or not, and fitted on other antibodies."""

import json
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from antibody_esm import Dataset, DatasetError, Predictor, RidgeSpec, Trainer
from antibody_esm.reports.grid import GridReport
from reporting import CHARGES, LOGREG, antibodies, cross_validated


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


def names_of(grid: GridReport) -> list[str]:
    return [row.name for row in grid.rows if not row.baseline]


def test_a_recalibrated_model_is_another_row_of_the_column_of_the_model_as_it_was_trained() -> None:
    data, plain = new_ones(), model()
    models = [plain, plain.recalibrate(lab()), plain.recalibrate(lab(seed=8)), plain.recalibrate(lab(), threshold=0.3)]
    grid = GridReport([each.evaluate(data) for each in models])
    assert len(grid.columns) == 1
    assert "4 pipelines on 1 data set" in str(grid)
    assert "in other folds" not in str(grid)
    named = [name.partition(", recalibrated on 30 antibodies of lab.csv") for name in names_of(grid)]
    assert len(set(named)) == 4
    assert {start for start, _, _ in named} == {plain.evaluate(data).pipeline}
    assert sum(not middle for _, middle, _ in named) == 1
    scored = [report.scored for report in grid.columns[0].reports.values()]
    assert scored == [report.scored for report in grid.reports], "each report has a row of its own"
    pairs = {(each.one, each.other) for each in grid.comparisons[grid.columns[0].title]}
    assert len({pair for pair in pairs if "recalibrated" in pair[0] and "recalibrated" in pair[1]}) == 3
    pipelines = {row["pipeline"] for row in grid.to_dict()["table"] if not row["baseline"]}
    assert pipelines == set(names_of(grid))
    assert models[1].evaluate(data).title.endswith(", recalibrated on 30 antibodies of lab.csv")


def test_models_of_other_training_antibodies_have_rows_and_baselines_of_their_own(tmp_path: Path) -> None:
    data, few = new_ones(), Trainer(CHARGES, LOGREG).fit(antibodies(50, seed=5, source="few.csv"))
    models = [model(), model(seed=1), Predictor.load(few.save(tmp_path / "few"))]
    reports = [each.evaluate(data) for each in models]
    grid = GridReport([cross_validated(), *reports])
    assert [column.title for column in grid.columns] == ["made up, cross-validation", "new.csv, test"]
    plain = reports[0].pipeline
    first, second, third = (row for row in grid.columns[1].reports)
    assert third.name == f"{plain}, trained on 50 antibodies of few.csv"
    assert first.name == f"{plain}, trained on 60 antibodies of made up ({antibodies().digest[:8]})"
    assert second.name.endswith(f"({antibodies(seed=1).digest[:8]})")
    assert next(iter(grid.columns[0].reports)).name == plain
    for row, report in grid.columns[1].reports.items():
        found = {
            other.name.split(",")[0]: grid.columns[1].cells[other]
            for other in grid.rows
            if other.training == row.training and other.baseline
        }
        for name, scored in report.baselines.found.items():
            own = found[report.baseline_title(name)]
            assert own.scores == scored.scores, "a baseline is fitted on the training antibodies of its pipeline"
    for verdict in grid.verdicts:
        assert verdict.baseline is not None
        assert verdict.baseline.training == verdict.row.training
    alone = GridReport([cross_validated(), reports[0]])
    assert names_of(alone) == [plain]


def test_the_same_test_twice_is_no_test_in_other_folds() -> None:
    grid = GridReport([model().evaluate(new_ones()), model().evaluate(new_ones())])
    assert grid.columns[1].differs.startswith("Pipelines here were scored again, on the antibodies of 'new.csv, test'")
    cuts = GridReport([model().evaluate(new_ones()), model().evaluate(new_ones(), threshold=0.25)])
    assert len(cuts.columns) == 1
    assert names_of(cuts)[1] == f"{names_of(cuts)[0]}, threshold .25"
