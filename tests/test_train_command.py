"""What a user of the shell sees; subprocesses only where the process itself is what is tested."""

import csv
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from antibody_esm import ExtractorSpec, Predictor, TrainSpec, load_dataset
from antibody_esm.cli.train import app

SCRIPT = Path(sys.executable).with_name("antibody-train")

MINE = ["data=mine.csv", "data.part=H-CDRs"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    load_dataset("boughter_flu_cdrs").subset(range(160, 210)).to_frame().to_csv("mine.csv", index=False)
    return tmp_path


def train(*overrides: str) -> Result:
    return CliRunner().invoke(app, list(overrides), catch_exceptions=False)


@pytest.fixture
def common(tiny: ExtractorSpec) -> list[str]:
    return [f"extractor.model={tiny.model}", *MINE, "split.folds=3"]


def test_a_run_writes_all_that_is_needed_to_know_what_it_was(here: Path, common: list[str]) -> None:
    done = train(*common, "classifier.C=2", "output=out")
    assert done.exit_code == 0, done.output
    out = here / "out"
    assert {path.name for path in out.iterdir()} == {
        "config.yaml",
        "overrides.yaml",
        "train.log",
        "metrics.json",
        "out_of_fold.csv",
        "report.html",
        "model",
    }
    configuration = yaml.safe_load((out / "config.yaml").read_text())
    assert configuration["classifier"]["C"] == 2.0
    assert yaml.safe_load((out / "overrides.yaml").read_text()) == [*common, "classifier.C=2", "output=out"]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["fingerprint"] == TrainSpec.compose([*common, "classifier.C=2"]).fingerprint
    assert len(metrics["scores"]["roc_auc"]["folds"]) == 3
    needed = len(set(load_dataset("mine.csv", part="H-CDRs").sequences))
    assert metrics["embeddings"] == {"needed": needed, "computed": needed}
    with (out / "out_of_fold.csv").open() as file:
        assert [row["id"] for row in csv.DictReader(file)] == list(load_dataset("mine.csv", part="H-CDRs").ids)
    log = (out / "train.log").read_text()
    assert f"{needed} needed, 0 from the store, {needed} computed" in log
    assert "accuracy" in log
    found = Predictor.load(out / "model", store="embeddings/").predict_proba(load_dataset("mine.csv", part="H-CDRs"))
    assert np.isfinite(found).all()
    assert "Results: out" in done.stdout


def test_a_public_set_its_fragment_and_its_labels_are_chosen_from_the_shell(
    here: Path, common: list[str], published: Path
) -> None:
    done = train(*common, "data=jain", "data.part=null", "data.fragment=H-CDR3", "data.labels=psr_flag", "output=out")
    assert done.exit_code == 0, done.output
    assert "137 antibodies, 28 positive" in done.output
    metrics = json.loads((here / "out" / "metrics.json").read_text())
    assert metrics["data_digest"] == load_dataset("jain", fragment="H-CDR3", labels="psr_flag").digest


def test_a_second_run_computes_nothing_and_writes_another_folder(here: Path, common: list[str]) -> None:
    first, second = train(*common), train(*common, "classifier=knn")
    assert "0 computed" not in first.stdout
    assert "0 computed" in second.stdout
    assert len(list((here / "outputs").glob("*/*"))) == 2


def test_multirun_runs_every_combination_and_sums_up(here: Path, common: list[str]) -> None:
    done = train("--multirun", *common, "classifier=logreg,knn", "split.random_state=0,1")
    assert done.exit_code == 0, done.output
    (summary,) = (here / "multirun").rglob("summary.csv")
    rows = list(csv.DictReader(summary.read_text().splitlines()))
    assert len(rows) == 4
    _, together = done.stdout.split("All runs side by side")
    assert "2 pipelines" in together
    assert "comparisons" in together
    page = (summary.parent / "report.html").read_text(encoding="utf-8")
    assert "logreg" in page
    assert "knn" in page
    assert [row["overrides"].split()[-2:] for row in rows] == [
        ["classifier=logreg", "split.random_state=0"],
        ["classifier=logreg", "split.random_state=1"],
        ["classifier=knn", "split.random_state=0"],
        ["classifier=knn", "split.random_state=1"],
    ]
    for number, row in enumerate(rows):
        metrics = json.loads((summary.parent / str(number) / "metrics.json").read_text())
        assert float(row["roc_auc"]) == metrics["scores"]["roc_auc"]["mean"]
        assert metrics["embeddings"]["computed"] == (0 if number else metrics["embeddings"]["needed"])


def test_a_fine_tuned_model_stands_beside_the_frozen_one_in_a_sweep(here: Path, common: list[str]) -> None:
    fields = ["finetune.epochs=1", "finetune.learning_rate=0.1"]
    done = train(*common, "finetune=head", *fields, "output=out", "random_seeds=0")
    assert done.exit_code == 0, done.output
    metrics = json.loads((here / "out" / "metrics.json").read_text())
    assert len(metrics["finetuned"]["folds"]) == 3
    frozen = metrics["baselines"]["frozen"]["roc_auc"]["estimate"]
    assert metrics["spec"]["finetune"]["method"] == "head"
    assert (here / "out" / "model" / "adapter.safetensors").exists()
    done = train("--multirun", *common, "finetune=null,head", "finetune.epochs=1", "output=sweep", "random_seeds=0")
    assert done.exit_code == 0, done.output
    before, after = csv.DictReader((here / "sweep" / "summary.csv").read_text().splitlines())
    assert float(before["roc_auc"]) == pytest.approx(frozen)
    assert "finetune=head" in after["overrides"].split()
    assert not (here / "sweep" / "0" / "model" / "adapter.safetensors").exists()
    done = train(*common, "finetune=lora", "tune.grid={classifier.C:[0.1,1]}")
    assert done.exit_code == 2
    assert "finetune and tune exclude each other" in done.stderr


def test_a_sweep_keeps_to_the_folder_it_is_given(here: Path, common: list[str]) -> None:
    assert train("-m", *common, "classifier=logreg,knn", "output=mine").exit_code == 0
    assert {path.name for path in (here / "mine").iterdir()} == {"0", "1", "report.html", "summary.csv"}
    assert not (here / "multirun").exists()


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def quick() -> list[str]:
    return [
        "model=descriptors",
        "extractor.descriptors=[net_charge,composition]",
        "data=mine.csv",
        "data.part=H-CDRs",
        "split.folds=3",
    ]


@pytest.mark.parametrize("mistake", ["data=typo.csv", "data.label=psr", "split.folds=45"])
def test_a_run_that_fails_leaves_the_earlier_results_as_they_were(here: Path, quick: list[str], mistake: str) -> None:
    assert train(*quick, "output=out").exit_code == 0
    Path("out/notes.txt").write_text("mine")
    before = content(Path("out"))
    done = train(*quick, "output=out", mistake)
    assert done.exit_code == 1
    assert content(Path("out")) == before
    assert "the earlier results in out are unchanged, the log is in" in done.stderr
    assert set(content(Path("out.failed"))) == {"config.yaml", "overrides.yaml", "train.log"}
    assert "ERROR" in Path("out.failed/train.log").read_text()


def test_a_run_that_succeeds_replaces_the_earlier_results_and_keeps_ledger_and_notes(
    here: Path, quick: list[str]
) -> None:
    assert train(*quick, "output=out").exit_code == 0
    predictor = Predictor.load("out/model")
    predictor.evaluate(load_dataset("boughter_flu_cdrs").subset(range(150, 190)))
    kept = {"notes.txt": b"mine", "model/openings.jsonl": Path("out/model/openings.jsonl").read_bytes()}
    Path("out/notes.txt").write_bytes(kept["notes.txt"])
    before = content(Path("out"))
    assert train(*quick, "classifier=knn", "output=out").exit_code == 0
    after = content(Path("out"))
    assert set(after) == set(before)
    assert kept.items() <= after.items()
    assert all(after[name] != before[name] for name in ("metrics.json", "report.html", "model/manifest.json"))
    assert Predictor.load("out/model").spec.classifier.kind == "knn"
    assert [path.name for path in here.iterdir() if path.name.startswith("out")] == ["out"]


def test_a_run_of_a_sweep_that_fails_is_said_and_the_others_are_done(here: Path, common: list[str]) -> None:
    done = train("-m", *common, "data.label=label,psr")
    assert done.exit_code == 1
    assert "there is no column 'psr'" in done.stderr
    (summary,) = (here / "multirun").rglob("summary.csv")
    assert [row["failed"] for row in csv.DictReader(summary.read_text().splitlines())] == ["False", "True"]


def test_a_sweep_with_a_bad_value_runs_nothing(here: Path, common: list[str]) -> None:
    assert train("-m", *common, "classifier=logreg,svm").exit_code == 2
    assert not (here / "multirun").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data=no.csv", "error: no.csv: there is no such file"),
        ("data=nothing", "unknown data set 'nothing'; choose one of boughter, boughter_flu_cdrs"),
        ("data.heavy=VH", "there is no column 'VH'. The columns are: id, heavy, light, label"),
        ("extractor.model=facebook/esm2_t6_8M_UR50D", "hf download facebook/esm2_t6_8M_UR50D"),
        ("split.folds=40", "40 folds need at least 40 antibodies of each class"),
    ],
)
def test_an_error_is_a_message_and_not_a_traceback(here: Path, common: list[str], override: str, message: str) -> None:
    done = train(*common, override, "output=out")
    assert done.exit_code == 1
    assert message in done.stderr
    assert "Traceback" not in done.output
    assert message.removeprefix("error: ") in (here / "out" / "train.log").read_text(), "and it is in the log"


def test_the_configuration_is_shown_without_running(here: Path) -> None:
    shown = train("--cfg", "job", "model=esm2_650m")
    assert yaml.safe_load(shown.stdout)["extractor"]["model"] == "facebook/esm2_t33_650M_UR50D"
    assert [path.name for path in here.iterdir()] == ["mine.csv"]


def test_help_names_the_choices_and_fits_a_terminal() -> None:
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["--help"])
    assert "esm2_650m" in shown.stdout
    assert "random_forest" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_logging_is_left_as_it_was(here: Path, common: list[str]) -> None:
    before = logging.getLogger("antibody_esm").handlers[:], logging.getLogger("antibody_esm").level
    train(*common, "output=out")
    assert (logging.getLogger("antibody_esm").handlers[:], logging.getLogger("antibody_esm").level) == before


# --- the predecessor's faults, each through every door a user may take -----------------------------------------------

DOORS = {"script": [str(SCRIPT)], "module": [sys.executable, "-m", "antibody_esm.cli.train"]}


def start(door: str, *overrides: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONWARNINGS": "error", "COLUMNS": "80"}
    command = [*DOORS[door], *overrides]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("door", DOORS)
def test_regression_group_overrides_reach_the_run(door: str, here: Path) -> None:
    # The predecessor's console script ignored model=esm2_650m.
    given = ["model=esm2_650m", "classifier=xgboost", "classifier.n_estimators=7"]
    shown = yaml.safe_load(train(*given, "--cfg", "job").stdout)
    assert shown["extractor"]["model"] == "facebook/esm2_t33_650M_UR50D"
    assert (shown["classifier"]["kind"], shown["classifier"]["n_estimators"]) == ("xgboost", 7)
    spec = TrainSpec.compose(given)
    assert json.loads(spec.extractor.model_dump_json()) == shown["extractor"]
    assert json.loads(spec.classifier.model_dump_json()) == shown["classifier"]
    # And not only the configuration that is shown: the run asks for that model's weights, which are not here.
    assert "facebook/esm2_t33_650M_UR50D" in start(door, *given).communicate()[1]


def test_regression_two_backbones_never_share_an_embedding(here: Path, checkpoints: dict[str, Path]) -> None:
    # The predecessor's cache was keyed by sequences only: every model was scored on the first one's embeddings.
    results = {}
    for family in ("esm", "bert"):
        done = train(
            f"extractor.model={checkpoints[family]}",
            "data=mine.csv",
            "data.part=H-CDRs",
            "split.folds=3",
            "random_seeds=0",
            f"output={family}",
        )
        assert done.exit_code == 0
        results[family] = json.loads((here / family / "metrics.json").read_text())
    assert results["bert"]["embeddings"]["computed"] == results["bert"]["embeddings"]["needed"] > 0
    assert len(list((here / "embeddings").iterdir())) == 2
    assert results["esm"]["scores"] != results["bert"]["scores"]


def test_regression_no_configuration_warning_is_printed(here: Path, common: list[str]) -> None:
    # Side by side, each with a store of its own, so that both load the model.
    common = [*common, "runtime.progress=false"]
    started = {door: start(door, *common, f"output={door}", f"store={door}/store") for door in DOORS}
    for door, running in started.items():
        said, warned = running.communicate()
        assert running.returncode == 0, door
        assert warned in ("", "loading libraries and data ...\n"), door
        assert "warning" not in said.lower(), door
        assert json.loads((here / door / "metrics.json").read_text())["embeddings"]["computed"] > 0


def test_regression_the_folder_of_the_log_is_created(here: Path, common: list[str]) -> None:
    assert train(*common, "output=not/yet/there").exit_code == 0
    assert (here / "not" / "yet" / "there" / "train.log").stat().st_size > 0


def test_the_console_script_is_installed() -> None:
    assert SCRIPT.exists()
    assert shutil.which("antibody-train", path=SCRIPT.parent)
