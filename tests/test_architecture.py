"""The house keeps its shape: layers, light imports, public names."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import antibody_esm
from antibody_esm import testing

ROOT = Path(antibody_esm.__file__).parent

# Lowest first; a module imports only from rows above its own, or from its own room.
LAYERS = [
    {"choices", "errors", "processes", "threads"},
    {"files"},
    {"folders", "limits", "results"},
    {"trusted_types", "ubjson"},
    {"schemas"},
    {"sequences", "specs"},
    {"presets", "numbering", "quantisation"},
    {"data", "store", "plm", "classifiers", "descriptors"},
    {"ensemble"},
    {"embedding"},
    {"evaluation"},
    {"serialization"},
    {"reports"},
    {"predictor"},
    {"explain"},
    {"trainer", "scoring"},
    {"benchmark"},
    {"cli"},
]
# `TrainSpec.compose` and `ExtractorSpec.resolve` import what answers them when they are called.
ALLOWED = {("specs", "cli"), ("specs", "plm")}

HEAVY = {"numpy", "pandas", "pydantic", "scipy", "sklearn", "torch", "transformers", "xgboost", "joblib", "hydra"}


def room(module: str) -> str:
    return module.removeprefix("antibody_esm.").split(".")[0]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    own = {name for name in found if name.startswith("antibody_esm.")}
    return {room(name) for name in own} & {name for layer in LAYERS for name in layer}


def violations(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    row = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    return {(one, other) for one, other in edges - ALLOWED if one != other and row[other] >= row[one]}


def edges() -> set[tuple[str, str]]:
    found = set()
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] not in ("__init__", "testing"):  # the door, and what helps to test it
            found |= {(parts[0], other) for other in imports(path)}
    return found


def test_a_module_imports_only_from_the_layers_above_it() -> None:
    assert violations(edges()) == set()


def test_the_test_of_layers_can_fail() -> None:
    assert violations({("plm", "store"), ("specs", "trainer"), ("trainer", "plm")}) == {
        ("plm", "store"),
        ("specs", "trainer"),
    }
    assert ("trainer", "predictor") in edges()
    assert edges() >= ALLOWED, "an exception nobody needs is gone"


@cache
def loaded(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in json.loads(done.stdout)}


def test_importing_the_package_loads_no_heavy_library() -> None:
    assert loaded("import antibody_esm; antibody_esm.__version__; dir(antibody_esm)") & HEAVY == set()


def test_the_test_of_light_imports_can_fail() -> None:
    assert {"pydantic"} <= loaded("from antibody_esm import TrainSpec") & HEAVY


PLAIN = """
import contextlib, io, pathlib, sys, typer
app = typer.Typer(add_completion=False, rich_markup_mode=None)
@app.callback()
def group() -> None: pass
@app.command()
def command(file: pathlib.Path, number: int = 1) -> None: pass
sys.argv = ["program", "command", "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): app()
"""
"""The help of a subcommand of nothing but typer, which itself loads pydantic to get there."""
HELPS = [
    *(("app", *words, "--help") for words in ((), ("embed",), ("predict",), ("evaluate",), ("explain",), ("scan",))),
    *(("app", *words, "--help") for words in (("app",), ("data",), ("data", "number"), ("data", "audit"))),
    *(("app", "store", *words, "--help") for words in ((), ("stats",), ("verify",), ("explain",), ("gc",))),
    *(("app", "store", *words, "--help") for words in (("merge",), ("export",), ("import",))),
    ("train", "--help"),
    ("benchmark", "--help"),
]


def loaded_by_command(name: str, *words: str) -> set[str]:
    """Return the libraries that a command loads, but for those of Python and of every start of it."""
    program = (
        f"import contextlib, io, sys\nfrom antibody_esm.cli.{name} import main\n"
        f"sys.argv = ['command', *{list(words)!r}]\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main()"
    )
    return loaded(program) - loaded("pass") - {"antibody_esm", "__mp_main__", *sys.stdlib_module_names}


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_the_help_of_a_command_loads_no_more_than_typer(words: tuple[str, ...]) -> None:
    assert loaded_by_command(*words) <= loaded(PLAIN)


def test_the_test_of_light_help_can_fail() -> None:
    assert {"hydra", "yaml"} <= loaded_by_command("train", "--cfg", "job") - loaded(PLAIN)


def test_a_help_is_tested_of_every_command() -> None:
    from typer.main import get_command

    from antibody_esm.cli.app import app

    tested = {words[1:-1] for words in HELPS if words[0] == "app"}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]  # a group of commands
        inner = getattr(command, "commands", {})
        assert {(name,), *((name, other) for other in inner)} <= tested


def test_specs_and_presets_load_pydantic_and_nothing_heavier() -> None:
    assert loaded("from antibody_esm import TrainSpec, presets") & HEAVY == {"pydantic"}


LIBRARIES = {"hydra", "pandas", "scipy", "sklearn", "torch", "transformers", "xgboost", "matplotlib", "skops"}


@pytest.mark.parametrize("name", sorted(antibody_esm.__all__))
def test_a_public_name_is_imported_without_the_libraries_that_it_computes_with(name: str) -> None:
    assert loaded(f"from antibody_esm import {name}") & LIBRARIES == set()


COMPUTING = {"sklearn", "scipy", "torch", "transformers", "skops", "xgboost"}
MODEL = str(Path(__file__).parent / "saved" / "descriptors")


@pytest.mark.parametrize(
    "words",
    [
        ("app", "predict", "absent.csv", "-m", MODEL, "-o", "out.csv"),
        ("app", "predict", "others.csv", "-m", MODEL, "-o", "out.csv"),
        ("app", "evaluate", "absent.csv", "-m", MODEL),
        ("app", "evaluate", "others.csv", "-m", MODEL),
        ("app", "explain", "absent.csv", "-m", MODEL),
        ("app", "scan", "others.csv", "-m", MODEL),
        ("app", "embed", "absent.csv", "-o", "out.npz"),
        ("train", "data=absent.csv", "output=results"),
        ("train", "data=others.csv", "output=results"),
        ("train", "data=others.csv", "data.heavy=one", "data.label=absent", "output=results"),
    ],
    ids=" ".join,
)
def test_a_missing_file_or_column_is_noticed_before_anything_heavy_is_loaded(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("others.csv").write_text("one,other\nEVQLVESGGGLVQPGGSLRLSCAAS,2\n")
    name, *rest = words
    program = (
        f"import contextlib, io, sys\nfrom antibody_esm.cli.{name} import main\nsys.argv = ['command', *{rest!r}]\n"
        "said = io.StringIO()\nwith contextlib.redirect_stderr(said):\n    try: main()\n"
        "    except SystemExit as end: assert end.code == 1\n"
        "assert 'no such file' in said.getvalue() or 'column' in said.getvalue(), said.getvalue()"
    )
    loaded.cache_clear()
    assert loaded(program) & COMPUTING == set()


def test_the_door_holds_exactly_the_public_names() -> None:
    assert set(antibody_esm.__all__) == set(antibody_esm._HOME)
    for name in antibody_esm.__all__:
        assert getattr(antibody_esm, name).__name__ == name
        assert name in dir(antibody_esm)
    assert {
        *("Trainer", "TrainSpec", "ExtractorSpec", "LogisticRegressionSpec", "XGBoostSpec", "RuntimeSpec"),
        *("EmbeddingStore", "Extractor", "Predictor", "Dataset", "load_dataset", "embed", "AntibodyESMError"),
    } <= set(antibody_esm.__all__)


def test_every_public_name_has_a_docstring() -> None:
    for name in antibody_esm.__all__:
        assert (getattr(antibody_esm, name).__doc__ or "").strip(), name


def test_a_name_that_is_not_there_is_the_usual_error() -> None:
    with pytest.raises(AttributeError, match="module 'antibody_esm' has no attribute 'nothing'"):
        antibody_esm.nothing  # noqa: B018


def test_no_source_reads_pickles_or_runs_remote_code() -> None:
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        for word in ("pickle.load", "joblib.load(", "trust_remote_code=True", "weights_only=False"):
            assert word not in text, f"{path.name}: {word}"


def test_tiny_checkpoints_are_reproducible_and_differ_by_seed(tmp_path: Path) -> None:
    folders = [testing.tiny_checkpoint("esm", tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1))]
    one, same, other = ((folder / "model.safetensors").read_bytes() for folder in folders)
    assert one == same != other
