"""README, docstrings and documentation say what is true."""

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import antibody_esm
from antibody_esm.data.cards import card
from conftest import ROOT, python_blocks

MODULES = [
    module.name
    for module in pkgutil.walk_packages(antibody_esm.__path__, "antibody_esm.")
    if not module.name.endswith(("cli.train", "cli.app"))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    module = importlib.import_module(name)
    with_vectors = 'store="embeddings/"' in inspect.getsource(module)
    monkeypatch.chdir(request.getfixturevalue("second_run") if with_vectors else tmp_path)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    assert doctest.testmod(module, optionflags=flags).failed == 0


def test_the_first_five_lines_of_the_readme_run_and_save_a_model(first_run: tuple[Path, str]) -> None:
    folder, said = first_run
    assert len(python_blocks(ROOT / "README.md")[0].splitlines()) == 6  # an import and five lines
    # Real antibodies and a real language model: every number of the report is the one that the README prints.
    assert re.search(r"^ROC AUC +\.66\d .*^accuracy +\.62\d ", said, flags=re.S | re.M)
    assert said.strip() in (ROOT / "README.md").read_text()
    assert (folder / "model" / "manifest.json").exists()


def test_the_first_screen_of_the_readme_names_the_two_commands() -> None:
    screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    assert screen.index("make run") < screen.index("make test") < screen.index("```python") < screen.index("accuracy")


def test_every_python_block_of_the_readme_is_python() -> None:
    for block in python_blocks(ROOT / "README.md"):
        compile(block, "README.md", "exec")


def test_the_tutorial_runs_from_top_to_bottom(second_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(second_run)
    blocks = python_blocks(ROOT / "docs" / "tutorial.md")
    assert len(blocks) >= 5
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "tutorial.md", "exec"), namespace)  # noqa: S102


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of dask
def test_the_how_to_of_clusters_runs_with_a_scheduler_and_two_workers_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(psutil.Process().children(recursive=True))
    (block,) = [one for one in python_blocks(ROOT / "docs" / "large.md") if "LocalCluster" in one]
    exec(compile(block, "large.md", "exec"), {"__name__": "__main__"})  # noqa: S102
    started = set(psutil.Process().children(recursive=True)) - before
    # multiprocessing's tracker of resources is no worker, and ends with this process.
    assert [one for one in started if "resource_tracker" not in " ".join(one.cmdline())] == []
    output = capsys.readouterr().out
    assert "(40, 512)" in output
    assert "1 specs, 40 rows" in output


def test_the_page_of_the_store_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "store.md"
    (block,) = python_blocks(page)
    exec(compile(block, "store.md", "exec"), {})  # noqa: S102
    said = capsys.readouterr().out
    assert "['pooling mean -> max']" in said
    assert "1 specs, 2 rows" in said
    assert "2 rows computed again" in said


@pytest.mark.parametrize("page", ["store", "app", "security"])
def test_a_page_of_promises_names_tests_that_are_there(page: str) -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)(\.py)?`", text)
    assert len(named) > 10
    for name, file in named:
        assert (ROOT / "tests" / f"{name}.py").exists() if file else f"def {name}(" in tests, name


def test_the_page_of_the_data_sets_runs_and_its_audit_is_the_real_one(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "data" / "index.md").read_text(encoding="utf-8")
    namespace: dict[str, object] = {}
    for block in python_blocks(ROOT / "docs" / "data" / "index.md"):
        exec(compile(block, "data/index.md", "exec"), namespace)  # noqa: S102
    (shown,) = re.findall(r"^```text\n(.*?)^```", page, flags=re.S | re.M)
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize("name", ["boughter", "jain", "shehata", "harvey"])
def test_the_page_of_a_data_set_is_what_its_provenance_says(published: Path, name: str) -> None:
    assert card(name) == (ROOT / "docs" / "data" / f"{name}.md").read_text(encoding="utf-8"), "run: make cards"


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert (tmp_path / "site" / "index.html").exists()


def test_the_site_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    configuration = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in configuration
    assert not re.search(r"https?://[^\s]*\.(js|css)", configuration)


def test_every_public_name_is_in_the_reference() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "docs").glob("reference*"))
    for name in antibody_esm.__all__:
        assert re.search(rf"\b{name}\b", text) or f"antibody_esm.{antibody_esm._HOME[name]}" in text, name


def test_decision_records_are_short() -> None:
    for path in (ROOT / "docs" / "decisions").glob("0*.md"):
        assert len(path.read_text().splitlines()) <= 40, path.name


def test_the_page_on_reports_runs(second_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(second_run)
    namespace: dict[str, object] = {}
    for block in python_blocks(ROOT / "docs" / "report.md"):
        exec(compile(block, "report.md", "exec"), namespace)  # noqa: S102
    assert {one.name for one in second_run.iterdir()} >= {"report.html", "report.json", "predictions.csv", "grid.csv"}


@pytest.mark.parametrize("page", ["benchmark", "predict"])
def test_the_pages_on_comparing_and_predicting_run(
    page: str, second_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(second_run)
    namespace: dict[str, object] = {}
    for block in python_blocks(ROOT / "docs" / f"{page}.md"):
        exec(compile(block, f"{page}.md", "exec"), namespace)  # noqa: S102
    if page == "benchmark":
        assert (second_run / "benchmark" / "report.html").is_file()
    else:
        assert len(namespace["table"]) == 5  # type: ignore[arg-type]


def test_the_page_of_explanations_runs(
    second_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(second_run)
    namespace: dict[str, object] = {}
    for block in python_blocks(ROOT / "docs" / "explain.md"):
        exec(compile(block, "explain.md", "exec"), namespace)  # noqa: S102
    said = capsys.readouterr().out
    assert "CDR3 105-117" in said
    assert "209 mutants" in said
