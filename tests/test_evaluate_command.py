"""``antibody-esm evaluate``: the command says what `Predictor.evaluate` does, and notes that the data were opened."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from antibody_esm import Dataset, DescriptorSpec, Predictor, Trainer, load_dataset
from antibody_esm.cli.app import app
from chains import HEAVY, mutants

VH = mutants(HEAVY, 80, 8)
LABEL = [(one.count("K") + one.count("R")) % 2 for one in VH]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a saved model and labelled antibodies that it has not seen, of which one is a fragment."""
    monkeypatch.chdir(tmp_path)
    data = Dataset([f"a{i}" for i in range(40)], VH[:40], label=LABEL[:40])
    Trainer(DescriptorSpec(descriptors=("net_charge", "composition")), "logreg").fit(data, scores=False).save("model")
    pd.DataFrame({"name": [f"b{i}" for i in range(40)], "vh": VH[40:], "sticky": LABEL[40:]}).to_csv("new.csv")
    return tmp_path


def run(*arguments: str, columns: str = "--id name --heavy vh --label sticky") -> object:
    return CliRunner().invoke(app, ["evaluate", *arguments, "--model", "model", *columns.split()])


def test_it_says_what_python_does_and_writes_page_predictions_and_scores(here: Path) -> None:
    done = run("new.csv", "-o", "page.html", "-o", "rows.csv", "-o", "scores.json", "--threshold", "0.4")
    assert done.exit_code == 0, done.output
    data = load_dataset("new.csv", id="name", heavy="vh", label="sticky")
    report = Predictor.load("model").evaluate(data, threshold=0.4)
    assert str(report) in done.stdout
    found = json.loads(Path("scores.json").read_text())
    assert found["scores"]["roc_auc"]["score"] == report.scores["roc_auc"][0]
    assert found["threshold"] == 0.4
    assert pd.read_csv("rows.csv")["id"].tolist() == list(data.ids)
    assert Path("page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    # The same model on the same data is one opening, however often it is asked; another threshold is another.
    assert len(Path("model/openings.jsonl").read_text().splitlines()) == 1
    assert run("new.csv").exit_code == 0
    assert len(Path("model/openings.jsonl").read_text().splitlines()) == 2


def test_the_fragment_of_the_model_is_cut_and_whoever_has_it_not_is_refused_or_left_out(here: Path) -> None:
    whole = Dataset([f"a{i}" for i in range(40)], VH[:40], label=LABEL[:40])
    Trainer(DescriptorSpec(descriptors=("net_charge",)), "logreg").fit(
        whole.cut("H-CDRs", drop=True), scores=False
    ).save("model")
    table = pd.read_csv("new.csv")
    table.loc[0, "vh"] = "EVQLVESGGG"
    table.to_csv("new.csv")
    refused = run("new.csv")
    assert refused.exit_code == 1
    assert "b0" in refused.stderr
    kept = run("new.csv", "--drop", "-o", "rows.csv")
    assert kept.exit_code == 0, kept.output
    assert "b0" not in pd.read_csv("rows.csv")["id"].tolist()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new.csv", "-o", "page.pdf"], "must end in .html, .csv or .json"),
        (["none.csv"], "no such file"),
        (["jain"], "is a public data set"),
        (["new.csv", "--assay", "spr"], "unknown assay 'spr'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(arguments: list[str], said: str, here: Path) -> None:
    done = run(*arguments)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert not Path("page.pdf").exists()
