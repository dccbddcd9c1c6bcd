"""``antibody-esm propose`` and ``fixes``, as people run them from one plate to the next."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from antibody_esm import Dataset, DescriptorSpec, ExtractorSpec, LogisticRegressionSpec, Predictor, RidgeSpec, Trainer
from antibody_esm.cli import app
from antibody_esm.rounds import FILE, read_log
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT, mutants

DESCRIPTORS = DescriptorSpec(descriptors=("length", "net_charge", "composition"))
HEAVIES = mutants(HEAVY, 60, 12)
CHARGE = np.array([text.count("K") + text.count("R") - text.count("D") - text.count("E") for text in HEAVIES])
CLASSES = (np.argsort(np.argsort(CHARGE)) >= 30).astype(int)


def run(*arguments: object, fails: bool = False) -> str:
    done = CliRunner().invoke(app.app, [str(argument) for argument in arguments], terminal_width=80)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert (done.exit_code != 0) == fails, done.output
    return done.stderr.splitlines()[-1] if fails else done.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, label=CLASSES)
    Trainer(DESCRIPTORS, LogisticRegressionSpec(standardize=True)).fit(data, scores=False).save("model")
    pairs = {"name": ["wt", "other"], "vh": [HEAVY, HEAVIES[3]], "vl": [LIGHT, LIGHT]}
    pd.DataFrame(pairs).to_csv("parents.csv", index=False)
    return tmp_path


OPTIONS = ("--model", "model", "--positions", "CDR1", "--size", 6, "--mutations", 2, "--candidates", 200)


def test_plate_after_plate(folder: Path) -> None:
    printed = run("propose", "parents.csv", *OPTIONS, "-o", "plate1.csv", "--fasta", "plate1.fasta")
    assert max(map(len, printed.splitlines())) <= 80
    first = pd.read_csv("plate1.csv")
    assert first["rank"].tolist() == list(range(1, 7))
    assert (first["light"] == LIGHT).all()  # the model reads heavy chains alone
    assert set(first["parent"]) <= {"wt", "other"}
    assert Path("plate1.fasta").read_text().count(">") == 12
    first.assign(label=[0, 1, 0, 0, 1, 0]).to_csv("measured1.csv", index=False)

    more = ("--rounds", "measured1.csv", "--save", "model2")
    printed = run("propose", "parents.csv", *OPTIONS, "-o", "plate2.csv", *more)
    assert printed.startswith("measured1.csv: 6 antibodies, 4 as wanted; ROC AUC before they were known: ")
    assert "(of 6 new)" in printed.splitlines()[0]
    second = pd.read_csv("plate2.csv")
    assert not set(second["heavy"]) & set(first["heavy"])
    learned = Predictor.load(folder / "model2")
    assert learned.training is not None
    assert len(learned.training) == 66
    assert read_log("model") == read_log("model2")
    np.testing.assert_allclose(learned.predict_proba(second["heavy"].tolist())[:, 1], second["probability"])

    second.assign(label=[0, 0, 1, 0, 1, 0]).to_csv("measured2.csv", index=False)
    run("propose", "parents.csv", *OPTIONS, "-m", "model2", "-o", "plate3.csv", "--rounds", "measured2.csv")
    assert [each.source for each in read_log("model2")] == ["measured1.csv", "measured2.csv"]
    third = pd.read_csv("plate3.csv")
    assert not set(third["heavy"]) & {*first["heavy"], *second["heavy"]}


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "embeddings" not in path.parts}


def plate(first: int, last: int, name: str) -> str:
    pd.DataFrame({"heavy": mutants(HEAVY, last, 9, seed=5)[first:], "label": [0, 1] * ((last - first) // 2)}).to_csv(
        name
    )
    return name


def test_a_saved_model_has_the_log_of_its_own_rounds_and_replaces_no_other_model(folder: Path) -> None:
    options = ["propose", HEAVY, *OPTIONS, "-o", "x.csv", "--rounds", plate(0, 8, "p1.csv"), "--save"]
    Predictor.load("model").save("other")
    before = files(folder)
    assert "holds another model" in run(*options, "other", fails=True)
    Path("panel").mkdir()
    Path("panel/panel.json").write_text("{}")
    assert "holds a panel" in run(*options, "panel", fails=True)
    assert files(folder) == before | {folder / "panel/panel.json": b"{}"}
    Path("new").mkdir()
    (folder / "new" / FILE).write_text("of a model that was removed")
    run(*options, "new")
    run(*options, "new")  # the same command again
    assert [each.source for each in read_log("new")] == ["p1.csv"]
    assert read_log("new") == read_log("model")
    run("propose", HEAVY, *OPTIONS, "-o", "x.csv", "--rounds", plate(8, 16, "p2.csv"), "--save", "second")
    before = files(folder)
    assert "holds another model" in run(*options, "new", "--rounds", "p2.csv", fails=True)
    assert files(folder) == before


@pytest.mark.parametrize("arguments", [["--objectives", "beauty"], ["--positions", "500"], ["--language-model", "gpt"]])
def test_nothing_is_logged_or_saved_if_variants_cannot_be_made(folder: Path, arguments: list[str]) -> None:
    rounds = ["--rounds", plate(0, 8, "p1.csv"), "--save", "next"]
    before = files(folder)
    run("propose", HEAVY, "-m", "model", "-o", "x.csv", *rounds, *arguments, fails=True)
    assert files(folder) == before
    assert not Path("next").exists()


@pytest.mark.usefixtures("folder")
def test_columns_of_the_antibody_stay_after_a_round() -> None:
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, label=CLASSES, columns={"ph": [6 + i % 3 for i in range(60)]})
    Trainer(DESCRIPTORS, LogisticRegressionSpec(standardize=True)).fit(data, scores=False).save("columns")
    pd.DataFrame({"id": ["wt"], "heavy": [HEAVY], "ph": [7]}).to_csv("wt.csv", index=False)
    pd.read_csv(plate(0, 8, "p1.csv")).assign(ph=[6, 8] * 4).to_csv("p1.csv", index=False)
    options = ["-m", "columns", "--positions", "CDR1", "--size", 2, "--mutations", 1, "--rounds", "p1.csv"]
    printed = run("propose", "wt.csv", *options, "-o", "x.csv", "--save", "next", "--higher-is-better")
    assert "8 antibodies, 4 as wanted" in printed
    table, learned = pd.read_csv("x.csv"), Predictor.load("next").with_columns({"ph": 7})
    np.testing.assert_allclose(learned.predict_proba(table["sequence"].tolist())[:, 1], table["probability"])
    run("propose", "wt.csv", *options, "-o", "y.csv", "--column", "ph=8", "--higher-is-better")
    table, learned = pd.read_csv("y.csv"), Predictor.load("next").with_columns({"ph": 8})
    np.testing.assert_allclose(learned.predict_proba(table["sequence"].tolist())[:, 1], table["probability"])


@pytest.mark.usefixtures("stranger", "folder")
def test_a_round_looks_for_the_language_model_where_it_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("weights")
    weights = tiny_checkpoint("roberta", place / "before", seed=91)  # files that no other test has read
    data = Dataset([f"a{i}" for i in range(30)], HEAVIES[:30], label=[0, 1] * 15)
    Trainer(ExtractorSpec(model=str(weights)), "logreg", store="first").fit(data, uncertainty=False, scores=False).save(
        "language"
    )
    weights.rename(place / "moved")
    options = ["-m", "language", "--positions", "CDR1", "--size", 2, "--mutations", 1, "--rounds", plate(0, 8, "p.csv")]
    moved = ["--checkpoint", place / "moved", "--save", "next", "--candidates", 40]
    options += ["-o", "x.csv", "--objectives", "risk", "--language-model", "sapiens_vh"]
    assert "--checkpoint" in run("propose", HEAVY, *options, fails=True)
    run("propose", HEAVY, *options, *moved)
    assert len(read_log("next")) == 1


@pytest.mark.usefixtures("folder")
def test_the_same_command_writes_the_same_bytes_and_measured_files_are_left_out() -> None:
    run("propose", HEAVY, *OPTIONS, "-o", "a.csv")
    run("propose", HEAVY, *OPTIONS, "-o", "b.csv")
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    run("propose", HEAVY, *OPTIONS, "-o", "c.csv", "--measured", "a.csv")
    assert not set(pd.read_csv("a.csv")["sequence"]) & set(pd.read_csv("c.csv")["sequence"])


@pytest.mark.usefixtures("folder")
def test_fixes_are_a_table_with_a_row_for_each_liability() -> None:
    printed = run("fixes", "parents.csv", "-m", "model", "-o", "fixes.csv", "--most", 2)
    table = pd.read_csv("fixes.csv")
    none = int((table["mutation"] == "none").sum())
    assert printed == f"{len(table) - none} fixes written to fixes.csv; {none} liabilities have none\n"
    assert set(table["id"]) == {"wt", "other"}
    assert {"H", "L"} == set(table["chain"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "x.txt"], "must end in .csv"),
        (["-o", "x.csv", "--objectives", "beauty"], "objectives are some of"),
        (["-o", "x.csv", "--save", "model2"], "name a plate"),
        (["-o", "parents.csv"], "would be overwritten"),
        (["-o", "model/manifest.json.csv", "--rounds", "nothing.csv"], "nothing.csv"),
        (["-o", "x.csv", "--rounds", "parents.csv", "--save", "model"], "would replace the model itself"),
        (["-o", "x.csv", "--rounds", "parents.csv"], "label"),
        (["-o", "x.csv", "--positions", "500"], "500"),
        (["-o", "x.csv", "--language-model", "gpt"], "unknown extractor 'gpt'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(
    folder: Path, arguments: list[Any], message: str
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    printed = run("propose", "parents.csv", "-m", "model", *arguments, fails=True)
    assert printed.startswith("error: ")
    assert message in printed
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path: content for path, content in after.items() if "embeddings" not in path.parts} == before


@pytest.mark.usefixtures("folder")
def test_values_need_a_direction_and_columns_their_values() -> None:
    ph = [6 + i % 3 for i in range(60)]
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, label=CHARGE + 0.5, columns={"ph": ph})
    Trainer(DESCRIPTORS, RidgeSpec(alpha=1.0)).fit(data, scores=False).save("values")
    options = ["-m", "values", "-o", "x.csv", "--positions", "CDR1", "--size", 2, "--mutations", 1]
    assert "reads the column" in run("propose", HEAVY, *options, fails=True)
    assert "--higher-is-better" in run("propose", HEAVY, *options, "--column", "ph=7", fails=True)
    run("propose", HEAVY, *options, "--column", "ph=7", "--lower-is-better")
    table, model = pd.read_csv("x.csv"), Predictor.load("values").with_columns({"ph": 7})
    np.testing.assert_allclose(model.predict(table["sequence"].tolist()), table["prediction"])
    assert (table["prediction"] < model.predict([HEAVY])[0]).all()
