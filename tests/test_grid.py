"""Several reports side by side."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from antibody_esm import (
    Benchmark,
    DecisionSpec,
    DescriptorSpec,
    ExtractorSpec,
    FineTuneSpec,
    LogisticRegressionSpec,
    RuntimeSpec,
    SplitSpec,
    Trainer,
    TrainSpec,
    TuneSpec,
)
from antibody_esm.evaluation.paired import holm
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.report import evaluation_report
from antibody_esm.specs.finetuning import FINE_TUNINGS
from antibody_esm.testing import tiny_checkpoint
from reporting import CHARGES, LOGREG, antibodies, cross_validated, held_out

LENGTHS = DescriptorSpec(descriptors=("length",))
WEAK = LogisticRegressionSpec(C=0.1)
OTHER = antibodies(50, seed=1, source="another lab: its table")


@pytest.fixture(scope="module")
def grid() -> GridReport:
    return GridReport(
        [
            cross_validated(extractor=LENGTHS),
            cross_validated(),
            held_out(OTHER),
            held_out(OTHER, WEAK),
            cross_validated(antibodies(), WEAK),
        ]
    )


def test_pipelines_are_sorted_by_the_first_column_and_baselines_follow(grid: GridReport) -> None:
    assert [column.title for column in grid.columns] == ["made up, cross-validation", "another lab, test"]
    pipelines = [row for row in grid.rows if not row.baseline]
    scores = [grid.columns[0].cells[row].intervals["roc_auc"].estimate for row in pipelines]
    assert len(pipelines) == 3
    assert scores == sorted(scores, reverse=True)
    assert all(row.baseline for row in grid.rows[3:])
    assert len(grid.rows) == 3 + 9


def test_the_frame_holds_every_score_once(grid: GridReport) -> None:
    frame = grid.to_frame()
    assert not frame.duplicated(["pipeline", "fragment", "data", "metric"]).any()
    assert len(frame) == (3 + 9 + 2 + 9) * 10
    report = cross_validated()
    row = frame.query("pipeline == @report.pipeline and kind == 'cross-validation' and metric == 'pr_auc'").iloc[0]
    values, interval = report.scores["pr_auc"], report.intervals["pr_auc"]
    assert (row.value, row.low, row.high) == (interval.estimate, interval.low, interval.high)
    assert row.sd == pytest.approx(values.std(ddof=1))
    assert not row.baseline
    assert not row.claimed


def test_everything_is_compared_on_the_same_rows_with_one_correction(grid: GridReport) -> None:
    every = [one for found in grid.comparisons.values() for one in found]
    assert len(every) == (3 + 3 * 9) + (1 + 2 * 9)
    assert {one.family for one in every} == {len(every)}
    np.testing.assert_allclose([one.adjusted for one in every], holm([one.p_value for one in every]))
    pairs = [(title, one.one, one.other) for title, found in grid.comparisons.items() for one in found]
    assert len(set(pairs)) == len(pairs)


def test_a_pipeline_that_was_pinned_is_the_one_that_was_trained() -> None:
    data = antibodies(40, seed=4)
    half = np.full(40, 0.5)
    specs = [
        TrainSpec(extractor=ExtractorSpec(model="m")),
        TrainSpec(extractor=ExtractorSpec(model="m", digest="0" * 64, layer=8)),
    ]
    named = [evaluation_report(spec, data, np.zeros(40), half) for spec in specs]
    grid = GridReport([named[0], evaluation_report(specs[1], antibodies(40, seed=5), np.zeros(40), half)])
    assert {row.name for row in grid.rows} == {"m + logreg"}
    other = TrainSpec(extractor=ExtractorSpec(model="m", layer=3))
    grid = GridReport([named[0], evaluation_report(other, data, np.zeros(40), half)])
    assert {row.name for row in grid.rows} == {"m + logreg", "m (layer=3) + logreg"}


OTHERS: dict[str, Any] = {
    "extractor": ExtractorSpec(model="m", layer=3),
    "classifier": WEAK,
    "decision": DecisionSpec(threshold=0.3),
    "pca": 3,
    "tune": TuneSpec(grid={"classifier.C": (0.1, 1.0)}),
    "finetune": FineTuneSpec(epochs=2),
}


@pytest.mark.parametrize("field", sorted(TrainSpec.model_fields.keys() - {"format", "split", "use_columns"}))
def test_pipelines_that_differ_in_any_field_are_two_rows_of_one_column(field: str) -> None:
    plain = TrainSpec(extractor=ExtractorSpec(model="m"), decision=DecisionSpec(calibration="sigmoid"))
    data = antibodies(40, seed=4)
    specs = [plain, plain.model_copy(update={field: OTHERS[field]})]
    grid = GridReport([evaluation_report(spec, data, np.zeros(40), np.full(40, 0.5)) for spec in specs])
    [column] = grid.columns
    assert len({row.name for row in column.reports}) == 2


def test_two_fine_tunings_are_named_by_what_differs_in_folds_and_in_tests(tmp_path: Path) -> None:
    base = ExtractorSpec(model=str(tiny_checkpoint("esm", tmp_path / "esm", layers=1, dim=16)))
    head = FINE_TUNINGS["head"].with_fields({"epochs": 2})
    kinds = [None, head, head.with_fields({"epochs": 1})]
    specs = [TrainSpec(extractor=base, classifier=LOGREG, split=SplitSpec(folds=3), finetune=kind) for kind in kinds]
    runtime = RuntimeSpec(workers=1)
    run = Benchmark(
        pipelines=specs, data=antibodies(30), tests=[OTHER], runtime=runtime, random_seeds=0, check=False
    ).run()
    assert [len(column.reports) for column in run.columns] == [3, 3]
    rows = {row.name for column in run.columns for row in column.reports}
    assert len(rows) == 3
    assert run.title == "3 pipelines on 2 data sets"
    # a saved model, whose spec has an adapter, is the pipeline that it was trained by
    trainer = Trainer(base, LOGREG, SplitSpec(folds=3), finetune=head, runtime=runtime)
    predictor = trainer.fit(antibodies(30), scores=False, uncertainty=False, check=False)
    pair = GridReport([trainer.cross_validate(antibodies(30), check=False), predictor.evaluate(OTHER)])
    assert {row.name for row in pair.rows if not row.baseline} <= rows
    assert "fine-tuned (" in predictor.evaluate(OTHER).pipeline


def test_folds_of_two_designs_have_columns_of_their_own() -> None:
    grid = GridReport([cross_validated(), cross_validated(split=SplitSpec(by="family"))])
    assert [one.title for one in grid.columns] == [
        "made up, 4 stratified folds",
        "made up, 3 families, each left out once",
    ]


def test_two_seeds_of_one_pipeline_are_both_shown() -> None:
    grid = GridReport([cross_validated(), cross_validated(split=SplitSpec(folds=4, random_state=1))])
    assert [one.title for one in grid.columns] == ["made up, cross-validation", "made up, cross-validation (2)"]


def test_pipelines_that_were_scored_on_different_antibodies_are_not_ranked(tmp_path: Path) -> None:
    """A fragment that some antibodies have not: its pipeline stood first in one list with those of all antibodies."""
    data = antibodies()
    fewer = data.subset(range(4, 60))
    reports = [
        Trainer(CHARGES, LOGREG, SplitSpec(folds=4)).cross_validate(_part(data, "H-CDR1", slice(0, 12))),
        Trainer(CHARGES, LOGREG, SplitSpec(folds=4)).cross_validate(_part(fewer, "H-CDR3", slice(6, None))),
        Trainer(LENGTHS, LOGREG, SplitSpec(folds=4)).cross_validate(_part(fewer, "H-CDR3", slice(6, None))),
    ]
    grid = GridReport(reports)
    first, second = grid.columns
    assert [report.number[0] for report in first.reports.values()] == [60]
    assert [report.number[0] for report in second.reports.values()] == [56, 56]
    assert {row.fragment for row in second.cells} == {"H-CDR3"}, "baselines too"
    sentence = grid.sentences(second)[0]
    assert sentence == (
        "Pipelines here were scored on other antibodies (56, of which 56 are among the 60) than those of "
        "'made up, cross-validation': the two columns are not ranked together."
    )
    assert sentence in " ".join(str(grid).split())
    assert "the two columns are not ranked together" in grid.to_html(tmp_path / "grid.html").read_text()
    assert not any("ranked together" in one for one in grid.sentences(first))
    assert second.title == "made up, cross-validation (2)"


def test_pipelines_of_other_folds_or_other_sequences_are_not_ranked_either() -> None:
    data = antibodies()
    other_folds = Trainer(LENGTHS, LOGREG, SplitSpec(folds=4, random_state=1)).cross_validate(data)
    grid = GridReport([cross_validated(), other_folds])
    assert len(grid.columns) == 2
    assert grid.sentences(grid.columns[1])[0].startswith("Pipelines here were scored in other folds than those of")
    changed = replace(data, heavy=[data.heavy[0] + "K", *data.heavy[1:]])
    other_rows = Trainer(LENGTHS, LOGREG, SplitSpec(folds=4)).cross_validate(changed)
    grid = GridReport([cross_validated(), other_rows])
    assert len(grid.columns) == 2
    assert "(60, of which 59 are among the 60)" in grid.sentences(grid.columns[1])[0]


def test_fragments_are_rows_of_their_own_and_compared_where_antibodies_are_the_same() -> None:
    data = antibodies()
    parts = [_part(data, "H-CDR1", slice(0, 12)), _part(data, "H-CDR3", slice(6, None))]
    grid = GridReport([Trainer(CHARGES, LOGREG, SplitSpec(folds=4)).cross_validate(one) for one in parts])
    assert len(grid.columns) == 1
    assert {row.fragment for row in grid.rows} == {"H-CDR1", "H-CDR3"}
    names = {one.one for one in grid.comparisons[grid.columns[0].title]}
    assert len(names) == 2
    assert all(", H-CDR" in name for name in names)
    assert ", H-CDR3" in str(grid)


def test_classes_and_values_have_tables_of_their_own() -> None:
    values = cross_validated(antibodies(continuous=True), "ridge")
    grid = GridReport([cross_validated(), values])
    text = str(grid)
    assert text.index("ROC AUC") < text.index("Spearman")
    assert len({column.title for column in grid.columns}) == 2
    assert {"roc_auc", "spearman"} <= set(grid.to_frame()["metric"])


def test_the_text_fits_a_terminal(grid: GridReport) -> None:
    lines = str(grid).splitlines()
    assert all(len(line) <= 80 for line in lines)
    for row in grid.rows:
        assert any(row.name in line for line in lines) or row.name.split(" + ")[0][:20] in str(grid)
    interval = str(held_out(OTHER).intervals["roc_auc"])
    assert interval in str(grid)
    said = " ".join(str(grid).split())
    for column in grid.columns:
        for sentence in grid.sentences(column):
            assert sentence in said


def test_no_pipeline_is_called_better_without_ground(grid: GridReport) -> None:
    for column in grid.columns:
        for one in grid.comparisons[column.title]:
            if str(one) in grid.sentences(column) and one.verdict == "undecided":
                words = ("is no better than", "is not shown to be better than", "is not comparable with")
                assert any(f"{one.one} {verdict} {one.other}" in str(one) for verdict in words)


def test_it_is_written_as_json_and_csv(grid: GridReport, tmp_path: Path) -> None:
    found = json.loads(grid.to_json(tmp_path / "grid.json").read_text())
    assert len(found["table"]) == len(grid.to_frame())
    assert len(found["reports"]) == 5
    assert {one["sentence"] for one in found["comparisons"]["another lab, test"]} == {
        str(one) for one in grid.comparisons["another lab, test"]
    }
    with grid.to_csv(tmp_path / "grid.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(grid.to_frame())


def test_plots_are_of_a_column(grid: GridReport) -> None:
    ax = grid.plot_scores("another lab, test", Figure().subplots())
    assert len(ax.get_yticklabels()) == 2 + 9
    ax = grid.plot_comparisons(ax=Figure().subplots())
    assert len(ax.get_xticklabels()) == 3
    with pytest.raises(ValueError, match="no data set 'x' here; choose one of made up, cross-validation, another lab"):
        grid.plot_scores("x")


def test_an_empty_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="one report at least"):
        GridReport([])


def _part(data, fragment, kept):  # type: ignore[no-untyped-def]
    return replace(data, heavy=[one[kept] for one in data.heavy], fragment=fragment)
