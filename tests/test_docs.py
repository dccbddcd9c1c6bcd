"""README, docstrings and documentation say what is true."""

import contextlib
import doctest
import gzip
import importlib
import inspect
import io
import pkgutil
import re
import shutil
import subprocess
import sys
import textwrap
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import psutil
import pytest
from typer.testing import CliRunner

import antibody_esm
import test_architecture
from antibody_esm import Predictor, Trainer, load_dataset
from antibody_esm.cli import app, train
from antibody_esm.data.cards import card
from chains import HEAVY, mutants
from conftest import ROOT, python_blocks
from hub_stand_in import Hub, reached
from serving import fitted
from test_own_table import write_tables
from test_serve import serving

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
    # Real antibodies and a real language model: the README has the beginning of the report, as it is printed.
    assert re.search(r"^ROC AUC +\.66\d .*^accuracy +\.62\d ", said, flags=re.S | re.M)
    (shown,) = shown_on("README.md")
    assert said.startswith(shown)
    assert re.search(r"^random weights +\.677 ", said, flags=re.M)
    assert (folder / "model" / "manifest.json").exists()


def test_the_first_screen_of_the_readme_has_what_it_does_a_picture_five_lines_their_output_and_the_commands() -> None:
    screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:70])
    parts = ["polyreactivity", "<picture>", "pip install", "```python", "No better than", "What to believe", "make run"]
    places = [screen.index(part) for part in [*parts, "make test"]]
    assert places == sorted(places)
    for picture in re.findall(r'(?:src|srcset)="([^"]+)"', screen):
        assert (ROOT / picture).stat().st_size < 60_000, picture


class Ran(NamedTuple):
    """A page whose Python was executed: the names that it left, what it printed, and its folder."""

    namespace: dict[str, Any]
    printed: str
    folder: Path


def runs(*pages: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator of a test that has pages executed by the fixture `ran`, whole and one after the other."""
    RUN.update(pages)
    return pytest.mark.parametrize("page", pages)


@pytest.fixture
def ran(page: str, first_run: tuple[Path, str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Execute all Python blocks of a page, in one namespace and a folder with the files that it reads.

    The README's first block is left out, here and in the overview: `first_run` has executed it.
    """
    folder: Path = request.getfixturevalue("tmp_path" if page in IN_AN_EMPTY_FOLDER else "second_run")
    monkeypatch.chdir(folder)
    text = (ROOT / page).read_text(encoding="utf-8")
    if re.search(r'load_dataset\("(boughter|jain|shehata|harvey)"', text):
        request.getfixturevalue("published")
    if page in FILES:
        FILES[page](request.getfixturevalue("checkpoints")["esm"])
    if page == "README.md":
        shutil.copytree(first_run[0] / "model", "model")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    before = [(action, category) for action, _, category, *_ in warnings.filters]
    with contextlib.redirect_stdout(printed):
        for language, block in blocks(ROOT / page):
            if language == "sh":
                commands(block)
            elif block != FIRST:
                exec(compile(block, page, "exec"), namespace)  # noqa: S102
    after = [(action, category) for action, _, category, *_ in warnings.filters]
    assert after == before, "an import changed which warnings the caller sees"
    return Ran(namespace, printed.getvalue(), folder)


def blocks(path: Path) -> list[tuple[str, str]]:
    """Return language and text of the Python of a page, and of the shell lines that its reader is to type."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"^( *)```(python|sh)\n(.*?)^\1```", text, flags=re.S | re.M)
    return [(language, textwrap.dedent(block)) for _, language, block in found]


COMMANDS = {"antibody-esm": app.app, "antibody-train": train.app}
ARGUMENTS = "\n".join(f"{name}() {{ printf '%s\\0' {name} \"$@\"; printf '\\n'; }}" for name in COMMANDS)
"""Functions of bash that print the words of a command as bash divides them."""


def commands(block: str) -> None:
    """Run lines of shell in this process, with the words that bash hands over, and expect success."""
    if block.startswith(("pip ", "make ")):
        return  # see test_install.py, and the Makefile
    done = subprocess.run(["bash", "-euc", f"{ARGUMENTS}\n{block}"], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        name, *arguments = line.split("\0")[:-1]
        result = CliRunner().invoke(COMMANDS[name], arguments)
        assert result.exit_code == 0, f"{line}\n{result.output}"
        sys.stdout.write(result.output)


def _a_local_model(checkpoint: Path) -> None:
    shutil.copytree(checkpoint, "models/esm2_650m")
    pd.DataFrame({"vh": mutants(HEAVY, 60, 12)[:3]}).to_csv("unlabelled.csv", index=False)


def _values(checkpoint: Path) -> None:
    columns = {"isotype": ["IgG1", "IgG4"] * 30, "ph": [6 + i % 7 / 4 for i in range(60)]}
    chains = mutants(HEAVY, 60, 12)
    pd.DataFrame({"vh": chains, "psr": [i / 60 for i in range(60)]} | columns).to_csv("psr.csv", index=False)


def _first_part_of_the_tutorial(checkpoint: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        exec(python_blocks(ROOT / "docs" / "tutorial.md")[0], {})  # noqa: S102  writes its table


def _repertoire(checkpoint: Path) -> None:
    records = "".join(f">mAb{i}\n{chain}\n" for i, chain in enumerate(mutants(HEAVY, 4, 12)))
    Path("repertoire.fasta.gz").write_bytes(gzip.compress(records.encode()))


def _saved_model(checkpoint: Path) -> None:
    Trainer("descriptors").fit(load_dataset("boughter_flu_cdrs"), uncertainty=False, scores=False).save("model/")


def _several_assays(checkpoint: Path) -> None:
    write_tables(Path(), 60, {"HIC": 4, "Tm2": 7, "Titer": 0})


FIRST = python_blocks(ROOT / "README.md")[0]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
RUN: set[str] = set()
"""Pages that a test executes."""
IN_AN_EMPTY_FOLDER = ("docs/plugins.md", "docs/assays.md", "docs/store.md", "docs/large.md", "docs/liabilities.md")
FILES: dict[str, Callable[[Path], None]] = {
    "docs/classifiers.md": _values,
    "docs/columns.md": _values,
    "docs/install.md": _a_local_model,
    "docs/saving.md": _a_local_model,
    "docs/tutorial-model.md": _first_part_of_the_tutorial,
    "docs/large.md": _repertoire,
    "docs/security.md": _saved_model,
    "docs/assays.md": _several_assays,
}
"""Functions that make the files which a page reads, in the current folder; they take a tiny checkpoint."""


@runs("README.md")
def test_the_readme_runs_as_it_is_written_with_files_that_it_makes(ran: Ran) -> None:
    files = {path.name for path in ran.folder.iterdir()}
    assert files >= {"report.html", "run", "assays", "profile.csv", "profile.html", "scores.csv", "explained.html"}
    assert files >= {"scan.csv", "liabilities.csv", "plate.csv", "model2", "plate2.csv"}
    assert ran.namespace["report"].scores["roc_auc"].shape == (10,)
    assert len(pd.read_csv(ran.folder / "profile.csv")) == 5
    assert "ROC AUC before they were known" in ran.printed


@runs("docs/index.md", "docs/reference.md")
def test_the_overview_and_the_reference_run(ran: Ran) -> None:
    assert "Trainer" in (ROOT / "docs" / "index.md").read_text()


def shown_on(page: str) -> list[str]:
    """Return what a page shows as printed."""
    return re.findall(r"^```text\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), flags=re.S | re.M)


@runs("docs/tutorial.md", "docs/tutorial-model.md")
def test_the_tutorial_runs_from_top_to_bottom_and_prints_what_it_shows(page: str, ran: Ran) -> None:
    shown = [text for text in shown_on(page) if not text.startswith("Embeddings:")]  # the last line of a command
    assert len(shown) == {"docs/tutorial.md": 6, "docs/tutorial-model.md": 5}[page]
    for text in shown:
        assert text in re.sub(r" +$", "", ran.printed, flags=re.M)
    if page == "docs/tutorial-model.md":
        saved = {path.name for path in (ran.folder / "model").iterdir()}
        assert saved >= {"manifest.json", "classifier.skops", "training.npz"}
        for other in (page, "docs/saving.md", "docs/how-it-works.md"):
            text = (ROOT / other).read_text(encoding="utf-8")
            assert {name for name in saved if name not in text} == set(), other


@runs("docs/own-table.md", "docs/thresholds.md", "docs/nanobodies.md")
def test_a_page_on_tables_prints_what_it_shows(page: str, ran: Ran) -> None:
    assert shown_on(page)
    for text in shown_on(page):
        assert text in ran.printed


@runs("docs/training.md", "docs/classifiers.md", "docs/columns.md", "docs/install.md")
def test_the_training_guide_and_its_pages_run(page: str, ran: Ran) -> None:
    assert ("Spearman" in ran.printed) == (page == "docs/classifiers.md")


@runs("docs/language-models.md", "docs/pairs.md", "docs/vectors.md")
def test_the_pages_on_vectors_run(page: str, ran: Ran) -> None:
    assert ran.namespace
    if page == "docs/vectors.md":
        assert ran.printed.startswith(shown_on(page)[0])
        assert ran.namespace["search"].best_params_["logisticregression__C"] in (0.01, 1.0)


@runs("docs/saving.md")
def test_the_page_on_saving_runs(ran: Ran) -> None:
    assert ran.namespace["sequences"] == mutants(HEAVY, 60, 12)[:3]
    assert shown_on("docs/saving.md")[0] in ran.printed


@runs("docs/tuning.md")
def test_the_page_on_tuning_runs_and_prints_what_it_shows(ran: Ran) -> None:
    page = (ROOT / "docs" / "tuning.md").read_text()
    (shown,) = re.findall(r"^```text\n(.*?)^```", page, flags=re.S | re.M)
    assert shown in ran.printed
    report = ran.namespace["report"]
    assert ran.namespace["predictor"].data.tuned["choice"] == dict(report.tuned.choice)
    assert "difference +.026 [-.05, .10]" in " ".join(str(report).split())


@runs("docs/finetuning.md")
def test_the_page_on_fine_tuning_runs(ran: Ran) -> None:
    report, predictor = ran.namespace["report"], ran.namespace["predictor"]
    assert len({facts.adapter for facts in report.finetuned}) == len(report.finetuned) == 3
    assert "frozen language model" in ran.printed
    assert predictor.spec.finetune is None
    assert Predictor.load(ran.namespace["folder"]).spec == predictor.spec


@runs("docs/assays.md")
def test_the_page_on_several_assays_runs(ran: Ran) -> None:
    assert re.search(r"^Tm2 +53 ", ran.printed, re.M)
    assert re.search(r"^dropped: no Tm2 +7$", ran.printed, re.M)
    assert {"HIC prediction", "Tm2 low", "Titer warning"} <= set(ran.namespace["profile"])


@runs("docs/security.md")
def test_the_recipe_of_a_model_to_give_away_runs(ran: Ran) -> None:
    assert "without its training antibodies" in ran.printed
    with np.load(ran.folder / "to-give-away" / "training.npz") as arrays:
        assert not {"heavy", "light", "sequences", "target", "features"} & set(arrays)


@pytest.fixture
def children() -> set[psutil.Process]:
    """Processes that this one had started before a page runs."""
    return set(psutil.Process().children(recursive=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of dask
@runs("docs/large.md")
def test_the_how_to_of_clusters_runs_with_a_scheduler_and_two_workers_and_leaves_no_process(
    children: set[psutil.Process], ran: Ran
) -> None:
    started = set(psutil.Process().children(recursive=True)) - children
    # multiprocessing's tracker of resources is no worker, and ends with this process.
    assert [one for one in started if "resource_tracker" not in " ".join(one.cmdline())] == []
    assert ran.namespace["block"].vectors.shape == (4, 512)
    assert "(40, 512)" in ran.printed
    assert "1 specs, 44 rows" in ran.printed


@runs("docs/liabilities.md")
def test_the_page_on_liabilities_prints_what_it_shows(ran: Ran) -> None:
    (shown,) = re.findall(r"^```text\n(.*?)^```", (ROOT / "docs" / "liabilities.md").read_text(), flags=re.S | re.M)
    assert ran.printed == shown


@runs("docs/worked-case.md")
def test_the_worked_case_prints_the_measurements_and_makes_an_order_sheet(ran: Ran) -> None:
    (shown,) = re.findall(r"^```text\n(.*?)^```", (ROOT / "docs" / "worked-case.md").read_text(), flags=re.S | re.M)
    assert ran.printed.startswith(shown)
    assert len(ran.namespace["plate"]) == 8
    assert {"R64", "F59"} <= {
        name[:3] for name in ran.namespace["plate"].table["mutations"].str.replace("H:", "").str.cat(sep=",").split(",")
    }


@runs("docs/propose.md")
def test_the_page_on_the_next_plate_runs_from_plate_to_plate(ran: Ran) -> None:
    assert len(ran.namespace["plate"]) == len(ran.namespace["next_plate"]) == 8
    assert "ROC AUC before they were known" in ran.printed
    first, second = (ran.namespace[name].table for name in ("plate", "next_plate"))
    assert not set(first["sequence"]) & set(second["sequence"])


@runs("docs/numbering.md")
def test_the_page_on_numbering_numbers(ran: Ran) -> None:
    assert ran.namespace["domain"].cdr3 == "SRWGGDGFYAMDY"


@runs("docs/store.md")
def test_the_page_of_the_store_runs(ran: Ran) -> None:
    assert "['pooling mean -> max']" in ran.printed
    assert "1 specs, 2 rows" in ran.printed
    assert "2 rows computed again" in ran.printed


@runs("docs/data/index.md")
def test_the_page_of_the_data_sets_runs_and_its_audit_is_the_real_one(ran: Ran) -> None:
    page = (ROOT / "docs" / "data" / "index.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(.*?)^```", page, flags=re.S | re.M)
    assert shown in ran.printed


@runs(*(f"docs/data/{name}.md" for name in ("boughter", "jain", "shehata", "harvey")))
def test_the_page_of_a_data_set_runs(page: str, ran: Ran) -> None:
    assert repr(ran.namespace["data"])[len("Dataset(") : -1] in (ROOT / page).read_text(encoding="utf-8")


@runs("docs/report.md")
def test_the_page_on_reports_runs(ran: Ran) -> None:
    assert {one.name for one in ran.folder.iterdir()} >= {"report.html", "report.json", "predictions.csv", "grid.csv"}


@runs("docs/how-many.md")
def test_the_page_on_learning_curves_runs(ran: Ran) -> None:
    assert "96 antibodies more" in ran.printed
    assert "Learning curve" in (ran.folder / "report.html").read_text()


@runs("docs/benchmark.md")
def test_the_page_on_comparing_runs(ran: Ran) -> None:
    assert (ran.folder / "benchmark" / "report.html").is_file()


@pytest.mark.filterwarnings("ignore:.*antibodies of the recalibration:UserWarning")  # the page says so
@runs("docs/predict.md")
def test_the_page_on_predicting_runs(ran: Ran) -> None:
    assert len(ran.namespace["table"]) == 5


@pytest.fixture
def at_8000(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server at a free port, which requests to port 8000 reach."""
    folder, plain = tmp_path_factory.mktemp("served"), urllib.request.Request
    with serving(fitted("heavy").save(folder / "model"), folder) as server:
        port = f":{server.port}"
        monkeypatch.setattr(
            "urllib.request.Request", lambda url, *rest, **more: plain(url.replace(":8000", port), *rest, **more)
        )
        yield


@pytest.mark.usefixtures("at_8000")
@runs("docs/serve.md")
def test_the_page_of_the_server_runs(ran: Ran) -> None:
    assert "mAb2 heavy chain, position 4: '1'" in ran.printed
    assert ran.printed.splitlines()[-1].startswith("120 ")


@runs("docs/explain.md")
def test_the_page_of_explanations_runs(ran: Ran) -> None:
    assert "CDR3 105-117" in ran.printed
    assert "209 mutants" in ran.printed


@pytest.mark.usefixtures("example")
@runs("docs/plugins.md")
def test_the_page_of_plugins_runs_with_its_package_installed(ran: Ran) -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert f"```text\n{ran.printed[ran.printed.index('(1, 400)') :].partition('Saved')[0]}```" in text
    assert ran.namespace["predictor"].spec.classifier.package == "antibody-esm-example"
    for line in (ROOT / "examples" / "plugin" / "pyproject.toml").read_text().splitlines():
        assert line in text or "entry-points" not in line


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with reached(monkeypatch, tmp_path / "cache") as hub:
        yield hub


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the hub's client
@runs("docs/cards.md")
def test_the_page_of_cards_runs_and_shows_the_card_that_is_written(hub: Hub, ran: Ran) -> None:
    shown = re.search(r"```text\n(# Antibody.*?)\n```", (ROOT / "docs" / "cards.md").read_text(), re.DOTALL)
    assert shown is not None
    assert " ".join(shown[1].split()) in " ".join(ran.printed.split())
    assert hub.repositories["our-lab/polyreactivity"].private
    assert f"our-lab/polyreactivity at {ran.namespace['commit']}" in ran.printed


def test_every_python_block_is_executed_by_a_test() -> None:
    found = {str(page.relative_to(ROOT)): python_blocks(page) for page in PAGES}
    assert {name for name, blocks in found.items() if blocks} == RUN
    fences = {
        str(page.relative_to(ROOT)): re.findall(r"(?m)^[ >\t]*(?:```|~~~) *\{?\.?py.*$", page.read_text())
        for page in PAGES
    }
    assert {name: len(lines) for name, lines in fences.items()} == {name: len(blocks) for name, blocks in found.items()}


@pytest.mark.parametrize("page", ["store", "app", "security"])
def test_a_page_of_promises_names_tests_that_are_there(page: str) -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)(\.py)?`", text)
    assert len(named) > 10
    for name, file in named:
        assert (ROOT / "tests" / f"{name}.py").exists() if file else f"def {name}(" in tests, name


@pytest.mark.parametrize("name", ["boughter", "jain", "shehata", "harvey"])
def test_the_page_of_a_data_set_is_what_its_provenance_says(published: Path, name: str) -> None:
    assert card(name) == (ROOT / "docs" / "data" / f"{name}.md").read_text(encoding="utf-8"), "run: make cards"


def test_every_public_name_is_in_the_reference() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "docs").glob("reference*"))
    for name in antibody_esm.__all__:
        assert re.search(rf"\b{name}\b", text) or f"antibody_esm.{antibody_esm._HOME[name]}" in text, name


def test_the_developer_guide_names_every_module_in_the_order_of_the_layers() -> None:
    text = (ROOT / "docs" / "developer.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| module \| idea \|\n.*?\n\n", text, flags=re.S | re.M)
    old = {"scoring", "data/sources", "evaluation/ledger", "evaluation/uncertainty"}
    rows = {
        name: row
        for row in table.strip().splitlines()[2:]
        for name in re.findall(r"`([\w/]+)(?:\.py)?`", row.split("|")[1])
    }
    for path in (ROOT / "antibody_esm").rglob("*.py"):
        name = path.relative_to(ROOT / "antibody_esm").with_suffix("").as_posix()
        room, _, module = name.rpartition("/")
        if name not in old and not name.endswith("__init__"):
            assert name in rows if not room else f"`{module}.py`" in rows[f"{room}/"], name
    for room, row in rows.items():
        if room.endswith("/"):
            for module in re.findall(r"`(\w+)\.py`", row):
                assert (ROOT / "antibody_esm" / room / f"{module}.py").exists(), f"{room}{module}"
        else:
            assert (ROOT / "antibody_esm" / f"{room}.py").exists(), room
    (order,) = re.findall(r"^`[\w ]*\bchoices .*?\n\n", text, flags=re.S | re.M)
    layers = [set(layer.split()) for layer in re.findall(r"`([^`]+)`", order)]
    assert layers == [layer - {"scoring"} for layer in test_architecture.LAYERS]


def test_decision_records_are_short() -> None:
    for path in (ROOT / "docs" / "decisions").glob("0*.md"):
        assert len(path.read_text().splitlines()) <= 40, path.name
