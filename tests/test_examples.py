import os
import runpy
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from antibody_esm import EmbeddingStore, ExtractorSpec
from chains import HEAVY, mutants
from effort import PATIENCE

EXAMPLES = Path(__file__).parent.parent / "examples"
LONG = EXAMPLES / "reproduce_published_table.py"
TRACKED = EXAMPLES / "track_with_mlflow.py"
"""Runs in a process of its own in `test_callbacks`, since MLflow has global state."""
SCRIPTS = sorted(set(EXAMPLES.glob("*.py")) - {LONG, TRACKED})


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_runs_without_a_warning(
    path: Path, second_run: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(second_run)
    runpy.run_path(str(path), run_name="__main__")  # a warning is an error, as in every test
    output = capfd.readouterr()
    assert output.err == ""
    assert output.out


@pytest.mark.usefixtures("published")
def test_a_cell_of_the_published_table_is_reproduced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = runpy.run_path(str(LONG))["main"](["L-CDR2"], ["LR"])
    assert list(table["published"]) == [0.592]
    assert abs(table["difference"].item()) <= 0.04
    assert "1 of 1 within .04" in capsys.readouterr().out


def test_there_are_five_scripts_and_two_notebooks() -> None:
    assert len(SCRIPTS) == 3
    assert LONG.is_file()
    assert TRACKED.is_file()
    assert len(list(EXAMPLES.glob("*.ipynb"))) == 2


# Jupyter's own client warns of its event loop and of a port file's permissions; neither is ours to mend.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, second_run: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(second_run)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs
    errors = [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert [text for text in errors if text.strip() and "seq" not in text] == [], "only a progress bar may stand there"


def test_a_slurm_array_shares_its_work_by_the_store_and_writes_the_bytes_of_one_process(
    tmp_path: Path, tiny: ExtractorSpec
) -> None:
    script = EXAMPLES / "embed.sbatch"
    assert subprocess.run(["bash", "-n", script], capture_output=True, check=True).stderr == b""
    chains = mutants(HEAVY, 300, 12)
    (tmp_path / "in.csv").write_text("".join(f"{chain}\n" for chain in ["sequence", *chains]))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def start(task: int, out: str, store: str) -> "subprocess.Popen[str]":
        array = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_MIN": "3", "STORE": store, "PATH": path}
        array["TMPDIR"] = str(tmp_path)
        words = ["bash", str(script), "in.csv", out, tiny.model]
        return subprocess.Popen(words, cwd=tmp_path, env=os.environ | array, stderr=subprocess.PIPE, text=True)

    tasks = [start(3, "vectors.npz", "shared"), start(4, "vectors.npz", "shared")]
    tasks.append(start(3, "alone.npz", "alone"))
    for task in tasks:
        lines = task.communicate(timeout=PATIENCE)[1].splitlines()
        assert (task.returncode, [line for line in lines if not line.endswith(" ...")]) == (0, [])  # of progress
    assert (tmp_path / "vectors.npz").read_bytes() == (tmp_path / "alone.npz").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["alone", "alone.npz", "in.csv", "shared", "vectors.npz"]
    assert EmbeddingStore(tmp_path / "shared").count(tiny) == len(set(chains))
