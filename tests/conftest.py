"""Fixtures: tiny checkpoints, one of each family, and a world without a hub or a cache of before."""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import needed

# Read by huggingface_hub when it is imported: nothing listens on the discard port, so no test can reach a hub.
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
# One thread each, read when torch and numpy are imported: threads of tiny products wait for one another, and the
# processes of one run share the cores. What the package does with several threads, tests set themselves.
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
# Caches of this run alone, of which all of its processes have the same: a chain is numbered once a run.
os.environ["HF_HOME"] = (
    os.environ["HF_HOME"] if "PYTEST_XDIST_WORKER" in os.environ else tempfile.mkdtemp(prefix="antibody_esm-hf-")
)
os.environ["XDG_CACHE_HOME"] = (
    os.environ["XDG_CACHE_HOME"]
    if "PYTEST_XDIST_WORKER" in os.environ
    else tempfile.mkdtemp(prefix="antibody_esm-cache-")
)
# The published files of the data sets, which are not part of this repository. No test downloads them.
os.environ[needed.VARIABLE] = str(needed.published() or os.environ.get(needed.VARIABLE) or needed.BESIDE)

from filelock import FileLock
from hypothesis import HealthCheck, settings

from antibody_esm import EmbeddingStore, ExtractorSpec
from antibody_esm.plm import search
from antibody_esm.testing import tiny_checkpoint
from effort import STRESS
from needed import pytest_terminal_summary  # noqa: F401  a hook
from stores import MAX, SEQUENCES, SPEC, rows_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile(
    "antibody_esm",
    max_examples=100 if STRESS else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("antibody_esm")

# Signals that tests send to commands: a run under nohup ignores them, and every process that it starts would do so too.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

ROOT = Path(__file__).parent.parent
LONGEST = (
    *("docs", "covering_array", "pairs_everywhere", "web", "architecture", "train_command", "extractor", "cluster"),
    *("fine_tuned", "untrained", "web_access", "cards", "serve", "command_rules", "transformer", "finetuning"),
    *("page", "benchmark", "small_sets", "trusted_types", "session", "store_faults", "overlap", "examples", "commands"),
    *("report", "explain", "calibration", "columns", "forecast", "intervals", "regression", "trainer"),
)
"""Files of tests that take longest: these begin first, so that no process is left with one of them at the end."""
WORKER = "PYTEST_XDIST_WORKER" in os.environ
"""Whether this is one of several processes, to each of which xdist hands files of tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    first = [f"test_{name}.py" for name in LONGEST]
    items.sort(key=lambda item: first.index(item.path.name) if item.path.name in first else len(first))


def python_blocks(path: Path) -> list[str]:
    """The Python of a page of Markdown, also that of indented blocks."""
    found = re.findall(r"^( *)```python\n(.*?)^\1```", path.read_text(encoding="utf-8"), flags=re.S | re.M)
    return [textwrap.dedent(block) for _, block in found]


FAMILIES = ("esm", "esm1v", "bert", "roformer")
"""Whose checkpoints tests of other rooms take."""
BACKBONES = (*FAMILIES, "roberta", "esm1b", "esmc", "prott5", "ankh")
CONTROLLED = ("prostt5", "ankh3", "gpt2")
"""Those of which authors write control tokens around a sequence."""


class Checkpoints(dict[str, Path]):
    """A tiny checkpoint of each family, made when it is first asked for, once in all processes of a run."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders

    def __missing__(self, family: str) -> Path:
        assert family in (*BACKBONES, *CONTROLLED)
        folder = once(f"checkpoint-{family}", self._folders, lambda made: tiny_checkpoint(family, made / family))
        self[family] = folder / family
        return self[family]


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return Checkpoints(tmp_path_factory)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def checkpoint(checkpoints: dict[str, Path], family: str) -> Path:
    return checkpoints[family]


@pytest.fixture(scope="session")
def tiny(checkpoints: dict[str, Path]) -> ExtractorSpec:
    """Some language model, where it does not matter which."""
    return ExtractorSpec(model=str(checkpoints["esm"]))


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Somebody else, who has used no folder and numbered no chain yet, and has no place for checkpoints."""
    monkeypatch.setattr(search, "_used", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache of another"))
    monkeypatch.delenv(search.VARIABLE, raising=False)


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of published files."""
    return needed.published() or needed.leave("published")


def once(name: str, tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], object]) -> Path:
    """Return a folder that `make` fills, in whichever of the processes of a run comes first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if WORKER else base) / name
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.unfinished")
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An empty folder in which the first lines of the README were run, and what they printed."""

    def run(folder: Path) -> None:
        (folder / "readme").mkdir()
        said = io.StringIO()
        with contextlib.chdir(folder / "readme"), contextlib.redirect_stdout(said):
            exec(python_blocks(ROOT / "README.md")[0], {})  # noqa: S102
        (folder / "said.txt").write_text(said.getvalue())

    folder = once("first_run", tmp_path_factory, run)
    return folder / "readme", (folder / "said.txt").read_text()


@pytest.fixture(scope="session")
def antiberty_store(first_run: tuple[Path, str]) -> Path:
    """A store of the bundled antibodies by AntiBERTy, which a page or an example would take seconds to compute."""
    return first_run[0] / "embeddings"


@pytest.fixture
def second_run(antiberty_store: Path, tmp_path: Path) -> Path:
    """A folder in which somebody has run this before: the vectors are in ``embeddings/``."""
    shutil.copytree(antiberty_store, tmp_path / "embeddings")
    return tmp_path


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    """A store with rows of two specs, four of `SPEC` and two longer ones of `MAX`."""
    store = EmbeddingStore(tmp_path / "store")
    store.put(SPEC, SEQUENCES, rows_of(SEQUENCES))
    store.put(MAX, SEQUENCES[:2], rows_of(SEQUENCES[:2], 5))
    return store


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    path = needed.browser() or needed.leave("browser")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def mmseqs() -> str:
    """The path of mmseqs2."""
    return needed.mmseqs() or needed.leave("mmseqs")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder into which pip has installed the package in ``examples/plugin``."""

    def install(made: Path) -> None:
        shutil.copytree(ROOT / "examples" / "plugin", made / "source")
        words = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
        place = ["--target", str(made / "site"), str(made / "source")]
        subprocess.run([sys.executable, *words, *place], check=True, capture_output=True)

    return once("plugin", tmp_path_factory, install) / "site"


@pytest.fixture
def example(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
