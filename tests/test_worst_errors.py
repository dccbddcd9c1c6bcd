"""The antibodies that a report predicts worst, by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import Dataset, ExtractorSpec, SplitSpec, Trainer, TrainSpec
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.page import page
from antibody_esm.reports.report import Report, evaluation_report
from reporting import CHARGES, LOGREG, antibodies, cross_validated, held_out

SPEC = TrainSpec(extractor=ExtractorSpec(model="m"))
COUNT = 20


def report_of(probability: list[float], label: list[int], ids: list[str] | None = None) -> Report:
    data = antibodies(COUNT, seed=6)
    named = Dataset(ids or list(data.ids), data.heavy, label=label, fragment="H-CDRs")
    values = np.array(probability)
    return evaluation_report(SPEC, named, (values >= 0.5).astype(int), values)


classes = st.lists(st.integers(0, 1), min_size=COUNT, max_size=COUNT).filter(lambda label: 0 < sum(label) < COUNT)
probabilities = st.lists(st.floats(0, 1), min_size=COUNT, max_size=COUNT)


@given(probabilities, classes, st.integers(1, COUNT + 5))
def test_worst_errors_are_the_wrong_predictions_by_falling_confidence(
    probability: list[float], label: list[int], n: int
) -> None:
    report = report_of(probability, label)
    table = report.worst_errors(n)
    error = {name: abs(p - y) for name, p, y in zip(report.data.ids, probability, label, strict=True)}
    wrong = [name for name, p, y in zip(report.data.ids, probability, label, strict=True) if (p >= 0.5) != y]
    assert list(table["id"]) == sorted(wrong, key=lambda name: -error[name])[:n]
    assert table["error"].tolist() == [error[name] for name in table["id"]]
    assert (table["label"] != table["prediction"]).all()


def test_values_have_the_largest_differences_with_their_sign() -> None:
    report = cross_validated(antibodies(continuous=True), "ridge")
    table, rows = report.worst_errors(5), report.predictions.set_index("id")
    difference = rows["prediction"] - rows["label"]
    assert table["id"].tolist() == difference.abs().sort_values(ascending=False, kind="stable").index[:5].tolist()
    np.testing.assert_allclose(table["error"], difference[table["id"]])
    assert list(table) == ["id", "label", "prediction", "error", "identity", "family", "psr"]


def test_repeats_are_averaged_and_an_antibody_is_named_once() -> None:
    data = antibodies()
    report = Trainer(CHARGES, LOGREG, SplitSpec(folds=3, repeats=3)).cross_validate(data)
    table = report.worst_errors(60)
    assert table["id"].is_unique
    wrong = report.predictions.assign(wrong=report.predictions["label"] != report.predictions["prediction"])
    assert set(table["id"]) == set(wrong.groupby("id")["wrong"].mean().loc[lambda share: share >= 0.5].index)


def test_a_perfect_report_has_no_table_and_the_number_is_checked() -> None:
    label = [0, 1] * (COUNT // 2)
    report = report_of([float(y) for y in label], label)
    assert report.worst_errors().empty
    assert "Worst errors" not in page(GridReport([report]))
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        report.worst_errors(0)


def test_json_has_the_ten_worst_and_names_are_text_on_the_page(tmp_path: Path) -> None:
    ids = [f"<i>{i}</i> doi:10.1000/x{i} [0.1, 0.2]" for i in range(COUNT)]
    report = report_of([1 - y * 0.9 for y in [0, 1] * (COUNT // 2)], [0, 1] * (COUNT // 2), ids)
    found = json.loads(report.to_json(tmp_path / "r.json").read_text())["worst_errors"]
    assert [row["id"] for row in found] == report.worst_errors()["id"].tolist()
    assert len(found) == 10
    text = page(GridReport([report]))
    assert "<i>" not in text
    assert "&lt;i&gt;0&lt;/i&gt; doi:10.1000/x0" in text
    assert "doi.org/10.1000" not in text


def test_measurements_are_those_of_the_antibody() -> None:
    report = held_out(antibodies(90, 7, seed=3))
    table, data = report.worst_errors(), report.data
    psr = dict(zip(data.ids, data.measurement("psr"), strict=True))
    np.testing.assert_array_equal(table["psr"], [psr[name] for name in table["id"]])
    unnamed = replace(report, data=replace(data, measurements={}, groups=None))
    assert not {"psr", "family"} & set(unnamed.worst_errors())
