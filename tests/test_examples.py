import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_a_script_runs_without_a_warning(path: Path, second_run: Path) -> None:
    environment = os.environ | {"PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, str(path)], cwd=second_run, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout


def test_there_are_three_scripts_and_a_notebook() -> None:
    assert len(list(EXAMPLES.glob("*.py"))) == 3
    assert len(list(EXAMPLES.glob("*.ipynb"))) == 1


# Jupyter's own client warns of its event loop and of a port file's permissions; neither is ours to mend.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, second_run: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(second_run)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs
    errors = [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert [text for text in errors if text.strip() and "seq" not in text] == [], "only a progress bar may stand there"
