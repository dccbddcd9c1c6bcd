import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


@pytest.fixture(scope="module")
def running(antiberty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, subprocess.Popen]]:
    """Every script in a folder of its own that has the vectors; they run side by side."""
    environment, started = os.environ | {"PYTHONWARNINGS": "error"}, {}
    for path in SCRIPTS:
        folder = tmp_path_factory.mktemp(path.stem)
        shutil.copytree(antiberty_store, folder / "embeddings")
        command = [sys.executable, str(path)]
        started[path] = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    yield started
    for process in started.values():
        with process:
            process.kill()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_runs_without_a_warning(path: Path, running: dict[Path, subprocess.Popen]) -> None:
    said, warned = running[path].communicate()
    assert running[path].returncode == 0, warned
    assert warned == ""
    assert said


def test_there_are_three_scripts_and_a_notebook() -> None:
    assert len(SCRIPTS) == 3
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
