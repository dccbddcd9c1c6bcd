"""A report opens with what its corrected comparison with the best baseline allows to claim."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import Dataset, DescriptorSpec, ExtractorSpec, Panel, SplitSpec, Trainer, TrainSpec
from antibody_esm.evaluation.interval import Interval
from antibody_esm.evaluation.predictions import Predictions
from antibody_esm.reports import verdicts
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.page import page
from antibody_esm.reports.report import Report, evaluation_report
from antibody_esm.reports.terminal_axis import axis
from antibody_esm.reports.thresholds import thresholds
from antibody_esm.unknown import Unknown
from effort import examples
from reporting import CHARGES, LOGREG, antibodies, cross_validated, held_out

LENGTHS = DescriptorSpec(descriptors=("length",))
SPEC = TrainSpec(extractor=ExtractorSpec(model="m"))
OTHER = antibodies(50, seed=1, source="another lab: its table")


def predicted(strength: float, seed: int) -> Report:
    """Return the test of a model whose probabilities follow the labels, more or less."""
    label = np.random.default_rng(5).permutation(80) % 2  # which no baseline can know
    data = replace(antibodies(80, seed=2), label=label.astype(np.float64))
    noise = np.random.default_rng(seed).random(80)
    probability = np.clip(strength * label + (1 - strength) * noise, 0, 1)
    return evaluation_report(SPEC, data, (probability >= 0.5).astype(int), probability, training=antibodies())


@examples(8)
@given(st.floats(-0.6, 1), st.integers(0, 30))
def test_the_verdict_is_better_if_and_only_if_the_corrected_comparison_claims_it(strength: float, seed: int) -> None:
    report = predicted(strength, seed)
    best = report.comparisons[0]
    assert report.verdict == best
    interval = best.difference
    claim = "better" if interval.low > 0 else "worse" if interval.high < 0 else "undecided"
    found = report.to_dict()["verdict"]
    assert (found["claim"], found["baseline"]) == (claim, best.other)
    sentence = verdicts.sentence(report)
    assert sentence.startswith("Better than") == (claim == "better")
    assert sentence.startswith("Worse than") == (claim == "worse")
    lines = str(report).splitlines()
    assert " ".join(str(report).split("\n\n")[1].split()) == sentence == found["sentence"]
    assert all(len(line) <= 80 for line in lines)
    grid = verdicts.of_grid(GridReport([report]))
    assert grid == f"The only result is {'' if claim == 'better' else 'not '}better than the best baseline." + (
        " The only result is worse than the best baseline." if claim == "worse" else ""
    )


def test_both_claims_are_reached() -> None:
    assert {predicted(strength, 0).to_dict()["verdict"]["claim"] for strength in (-0.6, 0.6)} >= {"better", "worse"}
    assert "class='verdict better'" in page(GridReport([predicted(0.6, 0)]))


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("test", [False, True])
def test_every_kind_of_report_opens_with_title_verdict_and_axis(continuous: bool, test: bool) -> None:
    data = antibodies(64, seed=1, continuous=continuous)
    classifier = "ridge" if continuous else LOGREG
    report = held_out(data, classifier) if test else cross_validated(data, classifier)
    title, verdict, drawn, method, split, *_ = str(report).split("\n\n")
    assert " ".join(title.split()) == report.title
    assert " ".join(verdict.split()) == verdicts.sentence(report)
    assert drawn.count("|") == 4 - 2 * sum(np.isnan(s.intervals[report.metric].width) for s in (report.scored,))
    assert " ".join(method.split()) == verdicts.test(report)
    assert " ".join(split.split()) == report.counts
    html = report._repr_html_()
    assert html.index(verdict.split()[0]) < html.index(report.counts) < html.index("<table>")


def test_a_report_without_baselines_says_why_in_a_line() -> None:
    report = replace(held_out(antibodies(50, seed=1)), training=None, unknown="saved without its training antibodies")
    assert isinstance(report.verdict, Unknown)
    sentence = "No verdict, since there is no baseline to compare with: saved without its training antibodies."
    assert verdicts.sentence(report) == verdicts.of_grid(GridReport([report])) == sentence
    assert sentence in " ".join(str(report).split())
    assert "class='verdict unknown'" in page(GridReport([report]))
    assert report.to_dict()["verdict"] == {"claim": None, "baseline": None, "sentence": sentence}


def test_several_pipelines_open_with_the_number_of_better_results_and_right_plurals(tmp_path: Path) -> None:
    reports = [cross_validated(), cross_validated(extractor=LENGTHS), held_out(OTHER)]
    grid = GridReport(reports)
    assert grid.title == "2 pipelines on 2 data sets"
    assert GridReport(reports[:2]).title == "2 pipelines on 1 data set"
    assert GridReport([reports[0], reports[2]]).title == "1 pipeline on 2 data sets"
    first, verdict, *_ = str(grid).split("\n\n")
    assert (first, " ".join(verdict.split())) == (grid.title, verdicts.of_grid(grid))
    found = json.loads(grid.to_json(tmp_path / "grid.json").read_text())
    assert found["verdict"] == verdicts.of_grid(grid)
    claims = [each.comparison.verdict for each in grid.verdicts if each.comparison]
    assert [each["comparison"]["verdict"] for each in found["verdicts"]] == claims
    number = claims.count("better")
    assert found["verdict"].startswith(f"{number or 'None'} of {len(claims)} results")


def test_a_better_result_among_others_is_named() -> None:
    grid = GridReport([predicted(0.6, 0), cross_validated(extractor=LENGTHS)])
    sentence = verdicts.of_grid(grid)
    assert sentence.startswith("1 of 2 results is better than the best baseline: m + logreg on ")


def test_a_panel_opens_with_its_verdicts_too() -> None:
    data = antibodies(48, continuous=True)
    measured = {"HIC": np.asarray(data.label), "Tm": np.arange(48.0)}
    several = Dataset(data.ids, data.heavy, measurements=measured, targets=("HIC", "Tm"), fragment="H-CDRs")
    grid = Panel.cross_validate(Trainer(CHARGES, "ridge", SplitSpec(folds=3)), several)
    assert str(grid).split("\n\n")[1].replace("\n", " ") == verdicts.of_grid(grid)
    text = page(grid)
    assert text.index("class='verdict'") < text.index("<nav") < text.index("At a glance")


@given(
    st.lists(
        st.tuples(st.text(max_size=90), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.booleans()), max_size=3
    )
)
def test_an_axis_fits_a_terminal_and_orders_ends_and_estimates(
    rows: list[tuple[str, float, float, float, bool]],
) -> None:
    entries = [
        (
            name,
            Interval(value, value - low, value + high, 0.95, "x")
            if ends
            else Interval(value, np.nan, np.nan, 0.95, "x"),
        )
        for name, value, low, high, ends in rows
    ]
    lines = axis(entries)
    assert all(len(line) <= 80 for line in lines)
    drawn = [line[39:] for line in lines if "o" in line[39:]]
    assert len(drawn) == len(rows)
    places = [line.index("o") for line in drawn]
    values = [value for _, value, *_ in rows]
    for i, j in np.argwhere(np.subtract.outer(values, values) > 0).tolist():
        assert places[i] >= places[j]
    assert axis([("a", Interval(float("nan"), 0, 1, 0.95, "x"))]) == []


@given(st.floats(0.05, 0.95), st.integers(0, 50))
def test_a_threshold_that_decided_the_classes_is_found_between_the_scores(cut: float, seed: int) -> None:
    probability = np.random.default_rng(seed).random(40)
    rows = Predictions(
        label=np.arange(40) % 2, prediction=(probability >= cut).astype(int), probability=probability, fold=None
    )
    (found,) = thresholds(rows)
    assert np.array_equal(probability >= found, rows.prediction.astype(bool))
    unordered = Predictions(label=rows.label, prediction=np.arange(40) % 2, probability=probability, fold=None)
    assert thresholds(unordered) == []


def test_groups_of_fewer_than_ten_have_no_point_and_are_counted() -> None:
    data = antibodies(60)
    named = replace(data, groups=["a"] * 30 + ["b"] * 21 + ["tiny"] * 4 + ["small"] * 5, groups_name="subset")
    report = cross_validated(named)
    text = page(GridReport([report]))
    assert "Balanced accuracy by subset" in text
    assert "Left out: 2 subsets of fewer than 10 antibodies, 9 in all." in text
    assert "tiny" not in re.sub(r"<table>.*?</table>", "", text, flags=re.S)
    assert set(report.by_family) == {"a", "b", "tiny", "small"}, "programs have all"
    finding = report.data.audit(identities=())["groups of fewer than 10"]
    assert (finding.count, finding.detail) == (2, "hold 9 rows together")
