"""A grid: each result once, resumable, the same bytes, and no test label near a fit."""

import csv
import json
import logging
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    CheckpointError,
    Dataset,
    DatasetError,
    DescriptorSpec,
    ExtractorSpec,
    SplitSpec,
    Trainer,
)
from antibody_esm.cli.benchmark import app
from antibody_esm.data.dataset import Provenance
from antibody_esm.reports.grid import GridReport
from antibody_esm.store.store import EmbeddingStore
from chains import HEAVY

GENERATOR = np.random.default_rng(3)
NUMBERED = DescriptorSpec(descriptors=("net_charge", "composition"))


def mutated(n: int, name: str) -> Dataset:
    """Return heavy chains with random residues in their third loop, and labels by charge."""
    chains, label = [], []
    for _ in range(n):
        loop = "".join(GENERATOR.choice(list("ADEGKRSTVY"), 8))
        chains.append(HEAVY.replace("WGGDGF", loop))
        label.append(loop.count("K") + loop.count("R") - loop.count("D") - loop.count("E") + GENERATOR.normal() > 0)
    return Dataset([f"{name}{i}" for i in range(n)], chains, label=label, provenance=Provenance(name))


TRAIN, TEST = mutated(48, "ours"), mutated(24, "theirs")
SPLIT = SplitSpec(folds=3)


def grid(tiny: ExtractorSpec, output: Path | None, **changed: object) -> Benchmark:
    options = {"split": SPLIT, "store": None if output is None else output.parent / "embeddings"} | changed
    return Benchmark([tiny, NUMBERED], ["logreg"], TRAIN, [TEST], [None, "H-CDR3"], output=output, **options)


@pytest.fixture(scope="module")
def done(tiny: ExtractorSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("grid") / "results"
    assert grid(tiny, output).run() is not None
    return output


@pytest.fixture(scope="module")
def again(tiny: ExtractorSpec, done: Path) -> tuple[Benchmark, GridReport, dict[str, bytes]]:
    """The same grid a second time, what it says, and what was in the folder before."""
    before = content(done)
    benchmark = grid(tiny, done)
    return benchmark, benchmark.run(), before


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_pipeline_has_a_cross_validation_and_a_test_on_every_fragment(again: tuple, done: Path) -> None:
    report = again[1]
    assert len(report.reports) == 2 * 2 * 2
    assert sum(one.is_cross_validation for one in report.reports) == 4
    assert {one.data.fragment for one in report.reports} == {None, "H-CDR3"}
    assert {"report.html", "results.json", "scores.csv", "summary.txt", "run.json", "openings.jsonl"} <= set(
        content(done)
    )


def test_results_are_those_of_a_trainer(tiny: ExtractorSpec, again: tuple) -> None:
    reports = {(type(one.spec.extractor), one.data.fragment, one.is_cross_validation): one for one in again[1].reports}
    for extractor in (tiny, NUMBERED):
        trainer = Trainer(extractor, "logreg", SPLIT)
        validated = trainer.cross_validate(TRAIN)
        trainer.fit(TRAIN)
        tested = trainer.evaluate(TEST)
        for mine in (validated, tested):
            found = reports[type(extractor), None, mine.is_cross_validation]
            assert found.predictions.equals(mine.predictions)
            assert all(np.array_equal(found.scores[name], mine.scores[name], equal_nan=True) for name in mine.scores)


def test_nothing_is_computed_twice_and_the_bytes_stay(tiny: ExtractorSpec, done: Path, again: tuple) -> None:
    benchmark, report, before = again
    assert benchmark.computed == 0
    assert content(done) == before
    assert grid(tiny, done).finished() == str(report) == (done / "summary.txt").read_text()


def test_each_embedding_is_computed_once(tiny: ExtractorSpec, done: Path) -> None:
    unique = {*TRAIN.sequences, *TEST.sequences, *TRAIN.cut("H-CDR3").sequences, *TEST.cut("H-CDR3").sequences}
    assert EmbeddingStore(done.parent / "embeddings").count(tiny) == len(unique)


def test_what_was_stopped_goes_on_where_it_was_and_another_folder_of_the_grid_holds_the_same_bytes(
    tiny: ExtractorSpec, done: Path, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    (output / "cells").mkdir(parents=True)
    every = sorted((done / "cells").iterdir())
    first, *_ = cells = [path for path in every if '"model"' in path.read_text()]  # others are of random weights
    shutil.copy(first, output / "cells")
    rest = grid(tiny, output)
    assert rest.finished() is None
    rest.run()
    assert rest.computed == len(cells) - 1 == 3
    assert content(output) == content(done)


@pytest.mark.parametrize("name", ["report.html", "results.json", "scores.csv", "summary.txt", "run.json"])
def test_what_was_changed_is_written_again(name: str, tiny: ExtractorSpec, done: Path, tmp_path: Path) -> None:
    output = tmp_path / "results"
    shutil.copytree(done, output)
    (output / name).write_text("{}")
    assert grid(tiny, output).finished() is None
    assert grid(tiny, done).finished() is not None


def test_other_data_other_fields_and_other_fragments_are_another_grid(tiny: ExtractorSpec, done: Path) -> None:
    flipped = np.array(TRAIN.label)
    flipped[0] = 1 - flipped[0]
    for other in (
        grid(tiny, done, split=SplitSpec(folds=4)),
        Benchmark([tiny, NUMBERED], ["logreg"], TRAIN, [TEST], [None], split=SPLIT, output=done),
        Benchmark([NUMBERED, tiny], ["logreg"], TRAIN, [], [None, "H-CDR3"], split=SPLIT, output=done),
        Benchmark(
            [tiny, NUMBERED],
            ["logreg", "knn"],
            replace(TRAIN, label=flipped),
            [TEST],
            [None, "H-CDR3"],
            split=SPLIT,
            output=done,
        ),
    ):
        assert other.finished() is None


def test_poisoned_test_labels_change_no_model_and_no_prediction(tmp_path: Path) -> None:
    found = []
    for label in (TEST.label, 1 - np.asarray(TEST.label)):
        output = tmp_path / str(len(found))
        report = Benchmark(
            [NUMBERED], ["logreg"], TRAIN, [replace(TEST, label=label)], split=SPLIT, output=output
        ).run()
        (cell,) = (output / "cells").iterdir()
        found.append(
            (json.loads(cell.read_text().splitlines()[1])["model"], report.reports[1].predictions["probability"])
        )
    assert found[0][0] == found[1][0]
    assert found[0][1].equals(found[1][1])


def test_test_sets_are_counted_once_a_model_however_often_the_grid_runs(again: tuple) -> None:
    tested = [one for one in again[1].reports if not one.is_cross_validation]
    assert {one.openings for one in tested} == {4}  # two pipelines on two fragments
    assert all("was opened 4 times" in " ".join(one.remarks) for one in tested)


def test_a_pipeline_that_fails_is_told_and_the_others_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    absent = ExtractorSpec(model=str(tmp_path / "absent"))
    benchmark = Benchmark([absent, NUMBERED], ["logreg"], TRAIN, split=SPLIT, output=tmp_path / "results")
    with caplog.at_level(logging.ERROR, "antibody_esm"):
        report = benchmark.run()
    assert [one.spec.extractor for one in report.reports] == [NUMBERED]
    assert isinstance(next(iter(benchmark.failed.values())), CheckpointError)
    assert "absent" in caplog.text
    assert benchmark.finished() is None
    with pytest.raises(CheckpointError):
        Benchmark([absent], ["logreg"], TRAIN, split=SPLIT).run()


@pytest.mark.parametrize(
    "wrong", [{"extractors": "antiberty"}, {"classifiers": []}, {"fragments": "VH"}, {"tests": "jain"}]
)
def test_lists_are_lists(wrong: dict) -> None:
    with pytest.raises(ValueError, match="must be a list"):
        Benchmark(**wrong)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    for data, name in ((TRAIN, "ours.csv"), (TEST, "theirs.csv")):
        data.to_frame().rename(columns={"heavy": "vh", "label": "flag"}).to_csv(folder / name, index=False)
    return folder


OVERRIDES = [
    "model=descriptors", "classifier=logreg,knn", "fragment=VH", "data=ours.csv", "data.heavy=vh",
    "data.label=flag", "test=theirs.csv", "split.folds=3", "output=found",
]  # fmt: skip


def test_the_command_runs_the_grid_and_the_second_time_computes_nothing(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tables)
    first = CliRunner().invoke(app, OVERRIDES)
    assert first.exit_code == 0, first.output
    assert "[2/2]" in first.stderr
    assert re.search(r"\n2 results computed, [\d.]+ s; found/report.html\n$", first.stdout)
    assert max(map(len, first.stdout.splitlines())) <= 80
    rows = list(csv.DictReader((tables / "found" / "scores.csv").read_text().splitlines()))
    assert {row["data"] for row in rows} == {"ours.csv, cross-validation", "theirs.csv, test"}
    before = content(tables / "found")
    second = CliRunner().invoke(app, OVERRIDES)
    assert "nothing was computed" in second.stdout
    assert second.stderr == ""
    assert second.stdout.rpartition("\n\n")[0] == first.stdout.rpartition("\n\n")[0]
    assert content(tables / "found") == before


def test_the_second_command_imports_no_torch_and_no_matplotlib(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables)
    program = (
        "import sys\nfrom antibody_esm.cli.benchmark import app\n"
        f"app({OVERRIDES!r}, standalone_mode=False)\n"
        "print({'torch', 'transformers', 'matplotlib'} & sys.modules.keys())"
    )
    assert CliRunner().invoke(app, OVERRIDES).exit_code == 0
    ran = subprocess.run([sys.executable, "-c", program], cwd=tables, capture_output=True, text=True, check=True)
    assert "nothing was computed" in ran.stdout
    assert ran.stdout.endswith("set()\n")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=boughter,jain"], "data: only one value is allowed for the whole grid"),
        (["store=a,b"], "store: only one value is allowed for the whole grid"),
        (["data.fragment=VH"], "use fragment=, which accepts several values"),
        (["model=esm9"], "choose one of"),
        (["fragments=VH"], "unknown key"),
    ],
)
def test_what_makes_no_grid_is_said(overrides: list[str], message: str) -> None:
    ran = CliRunner().invoke(app, overrides)
    assert ran.exit_code == 2
    assert message in ran.stderr


def test_an_unknown_data_set_or_fragment_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for override, message in (("data=bought", "unknown data set 'bought'"), ("test=none.csv", "there is no such file")):
        ran = CliRunner().invoke(app, ["data=boughter_flu_cdrs", "model=descriptors", override])
        assert ran.exit_code == 1
        assert message in ran.stderr


def test_test_sets_of_other_labs_have_columns_of_their_own(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables)
    frame = TEST.to_frame()
    frame.rename(columns={"heavy": "my chain", "label": "sticky flag"}).to_csv("other.csv", index=False)
    frame.rename(columns={"heavy": "HeavySequence", "label": "Target"}).to_csv("usual.csv", index=False)
    words = [word for word in OVERRIDES if not word.startswith("test=")] + ["test=theirs.csv,other.csv,usual.csv"]
    own = ["test.heavy=vh,'my chain',null", "test.label=flag,'sticky flag',Target"]
    loaded: list[Dataset] = []

    def from_specs(specs: object, train: object, tests: list[Dataset], *_: object, **__: object) -> None:
        loaded.extend(tests)
        raise DatasetError("loaded")

    monkeypatch.setattr(Benchmark, "from_specs", from_specs)
    assert "no column 'vh'" in CliRunner().invoke(app, words).output
    done = CliRunner().invoke(app, [*words, *own])
    assert "note: usual.csv: heavy from 'HeavySequence'" in done.stderr
    assert [data.sequences for data in loaded] == [TEST.sequences] * 3
    assert [list(data.binary_labels()) for data in loaded] == [list(TEST.binary_labels())] * 3
    few = CliRunner().invoke(app, [*words, "test.heavy=a,b"])
    assert few.exit_code == 2
    assert "give one column, or one for each of the 3 test sets" in few.output
