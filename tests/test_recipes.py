"""Lines that reproduce a report hold the user's own call of load_dataset, and can be pasted."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from antibody_esm import Benchmark, Dataset, DatasetError, Panel, Predictor, SplitSpec, Trainer, load_dataset
from antibody_esm.cli import train
from antibody_esm.data.recipes import Recipe
from antibody_esm.reports.report import Report
from reporting import CHARGES, antibodies

OPTIONS: dict[str, Any] = {"heavy": "VH", "label": "poly", "groups": "sub set", "fold": "fold no", "part": "H-CDRs"}


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of the user's own, in the current folder."""
    monkeypatch.chdir(tmp_path)
    frame = antibodies(60).to_frame().rename(columns={"heavy": "VH", "label": "poly", "groups": "sub set"})
    more: Any = {"isotype": ["IgG1", "IgG4"] * 30, "fold no": [i % 3 for i in range(60)], "HIC": np.arange(60) * 0.3}
    frame.assign(**more).to_csv("my table.csv", index=False)
    return tmp_path / "my table.csv"


def pasted(lines: str) -> dict[str, Any]:
    """Return the names of lines that are run in an empty namespace."""
    names: dict[str, Any] = {}
    exec(compile(lines, "pasted", "exec"), names)  # noqa: S102
    return names


def same(report: Report, other: Report) -> None:
    assert other.data.digest == report.data.digest
    assert {name: values.tolist() for name, values in other.scores.items()} == {
        name: values.tolist() for name, values in report.scores.items()
    }
    pd.testing.assert_frame_equal(other.predictions, report.predictions)


def test_pasted_lines_of_a_cross_validation_give_the_same_digest_and_scores(table: Path) -> None:
    data = load_dataset("my table.csv", **OPTIONS, columns=["isotype"])
    report = Trainer(CHARGES, "logreg", split=SplitSpec(by="fold")).cross_validate(data)
    lines = report.python
    call = 'load_dataset("my table.csv", heavy="VH", label="poly", groups="sub set", fold="fold no", part="H-CDRs", '
    assert call + 'columns=["isotype"])' in lines
    assert "..." not in lines
    same(report, pasted(lines)["report"])


def test_pasted_lines_of_a_test_load_training_and_test_set(table: Path) -> None:
    data = load_dataset("my table.csv", heavy="VH", label="poly", part="H-CDRs")
    report = Trainer(CHARGES, "logreg").fit(data).evaluate(data)
    found = pasted(report.python)
    assert found["training"].digest == data.digest
    same(report, found["report"])


def test_pasted_lines_of_one_label_of_several_take_that_label(table: Path) -> None:
    data = load_dataset(table, label=["HIC", "psr"], heavy="VH", part="H-CDRs", higher_is_better={"HIC": False})
    grid = Panel.cross_validate(Trainer(CHARGES, "ridge"), data)
    for report, name in zip(grid.reports, ("HIC", "psr"), strict=True):
        assert f'.target("{name}")' in report.python
        assert str(table.parent) not in report.python, "of an absolute path, the name of the file is enough"
        assert 'higher_is_better={"HIC": False}' in report.python
        same(report, pasted(report.python)["report"])
        assert "'data.label=[HIC,psr]'" in str(report.command)


def test_a_public_set_and_a_benchmark_have_their_call(table: Path) -> None:
    data = load_dataset("boughter_flu_cdrs")
    assert data.recipe is not None
    assert data.recipe.python == 'load_dataset("boughter_flu_cdrs")'
    assert load_dataset("boughter_flu_cdrs", chain="both").recipe.python.endswith('"boughter_flu_cdrs", chain="both")')  # type: ignore[union-attr]
    (report,) = Benchmark([CHARGES], ["logreg"], "boughter_flu_cdrs", split=SplitSpec(folds=2)).run().reports
    assert 'data = load_dataset("boughter_flu_cdrs")\n' in report.python
    assert str(report.command).startswith("antibody-train data=boughter_flu_cdrs model=")


def test_a_pasted_command_gives_the_same_digest_and_scores(table: Path) -> None:
    data = load_dataset("my table.csv", **OPTIONS, columns=["isotype"])
    report = Trainer(CHARGES, "logreg", split=SplitSpec(by="fold")).cross_validate(data)
    words = shlex.split(str(report.command))
    assert words[:2] == ["antibody-train", 'data="my table.csv"']
    done = CliRunner().invoke(train.app, [*words[1:], "output=out", "store=null"])
    assert done.exit_code == 0, done.output
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert metrics["data_digest"] == report.data.digest
    for name, values in report.scores.items():
        assert metrics["scores"][name]["folds"] == values.tolist()
    assert metrics["verdict"] == report.to_dict()["verdict"]
    assert [row["id"] for row in metrics["worst_errors"]] == report.worst_errors()["id"].tolist()


def test_data_without_a_call_leave_the_place_open(table: Path) -> None:
    frame = pd.read_csv("my table.csv")
    data = load_dataset(frame, heavy="VH", label="poly", part="H-CDRs")
    report = Trainer(CHARGES, split=SplitSpec(folds=2)).cross_validate(data)
    assert 'data = load_dataset(frame, heavy="VH", label="poly", part="H-CDRs")  # frame: as passed' in report.python
    opened(report)
    for changed in (data.subset(range(40)), replace(data), Dataset(data.ids, data.heavy, label=data.label)):
        assert changed.recipe is None
    assert (
        "load_dataset(...)  # made up" in Trainer(CHARGES, split=SplitSpec(folds=2)).cross_validate(antibodies()).python
    )


def opened(report: Report) -> None:
    """The command of a report leaves its data open, and fails as it is, with a reason."""
    words = shlex.split(str(report.command))
    assert words[:2] == ["antibody-train", "data=..."]
    assert sum(word.startswith("data=") for word in words) == 1
    done = CliRunner().invoke(train.app, [*words[1:], "output=out", "store=null"])
    assert done.exit_code == 1
    assert "the place of the data is left open" in done.output
    assert not Path("out/metrics.json").exists()


def test_no_line_runs_on_other_data(table: Path) -> None:
    """Data that no line loads leave their place open: parts, changes, and the labels of a changed panel."""
    loaded = load_dataset("my table.csv", heavy="VH", label="poly", part="H-CDRs")
    several = load_dataset("my table.csv", heavy="VH", label=["HIC", "psr"], part="H-CDRs")
    changed = (loaded.subset(range(40)), replace(loaded), several.subset(range(50)).target("HIC"))
    for data in changed:
        classifier = "ridge" if data.label_name == "HIC" else "logreg"
        report = Trainer(CHARGES, classifier, split=SplitSpec(folds=2)).cross_validate(data)
        opened(report)
        with pytest.raises(DatasetError, match="left open"):
            pasted(report.python)
        assert f'assert data.digest == "{data.digest}"' in report.python
        completed = report.python.replace("load_dataset(...)", 'load_dataset("boughter_flu_cdrs")')
        with pytest.raises(AssertionError):
            pasted(completed)


def test_no_command_claims_the_numbers_of_a_test(table: Path, tmp_path: Path) -> None:
    data = load_dataset("my table.csv", heavy="VH", label="poly", part="H-CDRs")
    model = Trainer(CHARGES, "logreg").fit(data)
    for report in (model.evaluate(data), Predictor.load(model.save(tmp_path / "model")).evaluate(data)):
        assert report.command is None
        assert report.to_dict()["reproduce"]["command"] is None
        page = report.to_html(tmp_path / "report.html").read_text()
        assert "A test has no command" in page
        assert "antibody-train data" not in page
    with pytest.raises(DatasetError, match="left open"):
        pasted(report.python)  # nobody knows how the training antibodies of a loaded model were read


def test_lines_of_a_model_without_its_training_antibodies_check_their_digest(table: Path, tmp_path: Path) -> None:
    data = load_dataset("my table.csv", heavy="VH", label="poly", part="H-CDRs")
    model = Trainer(CHARGES, "logreg").fit(data)
    alone = Predictor.load(model.save(tmp_path / "alone", training=False)).evaluate(data)
    assert alone.training is None
    assert "training = load_dataset(...)  # my table.csv\n" in alone.python
    for source, options in (("my table.csv", 'heavy="VH", label="poly", part="H-CDRs"'), ("boughter_flu_cdrs", "")):
        completed = alone.python.replace("load_dataset(...)", f'load_dataset("{source}", {options})')
        if source == "my table.csv":
            same(alone, pasted(completed)["report"])
        else:
            with pytest.raises(AssertionError):
                pasted(completed)


def test_a_command_has_the_split_of_its_report_even_if_few_values_have_another(table: Path) -> None:
    frame = pd.read_csv("my table.csv").head(40)
    frame.to_csv("few.csv", index=False)
    data = load_dataset("few.csv", heavy="VH", label="HIC", part="H-CDRs")
    report = Trainer(CHARGES, "ridge", split=SplitSpec()).cross_validate(data)
    done = CliRunner().invoke(train.app, [*shlex.split(str(report.command))[1:], "output=out", "store=null"])
    assert done.exit_code == 0, done.output
    folds = json.loads(Path("out/metrics.json").read_text())["scores"]["spearman"]["folds"]
    assert folds == report.scores["spearman"].tolist()


@given(st.text(min_size=1), st.lists(st.text(), max_size=3), st.booleans())
def test_any_text_is_written_as_python_reads_it(text: str, names: list[str], side: bool) -> None:
    recipe = Recipe.of({"source": f"t.{text}", "label": text, "columns": names, "higher_is_better": side})
    recipe = recipe.then("target", text)
    calls: list[Any] = []

    class Loaded:
        def target(self, name: str) -> None:
            calls.append(name)

    def load(source: str, **options: Any) -> Loaded:
        calls.append((source, options))
        return Loaded()

    eval(recipe.python, {"load_dataset": load})  # noqa: S307  what a reader pastes
    source = f"t.{text}"
    assert calls == [(source, {"label": text, "columns": names, "higher_is_better": side}), text]
