import runpy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from effort import PATIENCE

EXAMPLES = Path(__file__).parent.parent / "examples"
LONG = EXAMPLES / "reproduce_published_table.py"
SCRIPTS = sorted(set(EXAMPLES.glob("*.py")) - {LONG})


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


def test_there_are_four_scripts_and_a_notebook() -> None:
    assert len(SCRIPTS) == 3
    assert LONG.is_file()
    assert len(list(EXAMPLES.glob("*.ipynb"))) == 1


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
