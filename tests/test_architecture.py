"""The house keeps its shape: layers, light imports, public names."""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import antibody_esm
from antibody_esm import testing

ROOT = Path(antibody_esm.__file__).parent

# Lowest first; a module imports only from rows above its own, or from its own room.
LAYERS = [
    {
        "callbacks",
        "choices",
        "deprecation",
        "errors",
        "licences",
        "notebook",
        "processes",
        "progress",
        "spelling",
        "unknown",
        "wrong_folders",
    },
    {"cluster", "plugins"},
    {"threads"},
    {"files"},
    {"folders", "limits", "card_files"},
    {"result_cache"},
    {"trusted_types", "ubjson"},
    {"boosters"},
    {"schemas"},
    {"sequences"},
    {"numbering"},
    {"specs"},
    {"presets", "storage_formats", "batch", "plugin_types"},
    {"divided"},
    {"overrides", "average", "penalty", "column_encoder", "reduction", "rising"},
    {"data", "store", "plm", "classifiers", "descriptors"},
    {"features"},
    {"embedding"},
    {"embedding_streams", "transformer"},
    {"model_input", "finetuning_facts", "residue_codes"},
    {"fine_tuned"},
    {"evaluation", "source_views"},
    {"trained_on", "pipeline_card"},
    {"serialization", "targets", "same_vectors", "model_facts", "model_scores", "saved_adapters", "training_rows"},
    {"model_files", "untrained", "plugin_checks", "training_vectors"},
    {"panel_files"},
    {"reports", "recalibration", "hub_models"},
    {"cards"},
    {"scorer", "pipeline_curve", "saving"},
    {"explain"},
    {"predictor"},
    {"design"},
    {"trainer", "score_tables"},
    {"panel", "benchmark_results", "benchmark_sets", "rounds"},
    {"benchmark", "scoring", "profiles"},
    {"cli"},
]
# `TrainSpec.compose` and `ExtractorSpec.resolve` import what answers them when they are called. Neither is a circle:
# modules that they import know single modules of the specs, and none of these two.
ALLOWED = {("specs", "overrides"), ("specs", "plm")}

LONGEST_MODULE = 400
HEAVY = {"numpy", "pandas", "pydantic", "scipy", "sklearn", "torch", "transformers", "xgboost", "joblib", "hydra"}


def room(module: str) -> str:
    return module.removeprefix("antibody_esm.").split(".")[0]


def imported(path: Path) -> set[str]:
    """Return the names that a module imports from this package, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name.startswith("antibody_esm.")}


def imports(path: Path) -> set[str]:
    return {room(name) for name in imported(path)} & {name for layer in LAYERS for name in layer}


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


def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of each module by its name, without the door."""
    trees = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            trees[name] = ast.parse(path.read_text())
    return trees


def graph(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Return the modules that each module imports: at its top, inside of functions, and for types alone."""
    return {name: set(_imported(tree, trees)) - {name} for name, tree in trees.items()}


def _imported(tree: ast.Module, trees: Mapping[str, ast.Module]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            paths = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            paths = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for module, name in paths:
            inner = module.removeprefix("antibody_esm").removeprefix(".")
            if module.split(".")[0] == "antibody_esm":
                longer = ".".join(filter(None, (inner, name)))
                yield longer if longer in trees else inner


def circles(imports: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Return the groups of modules that import each other, directly or through others."""
    reached = {name: _reached(name, imports) for name in imports}
    return {
        circle
        for name in imports
        if len(circle := frozenset({other for other in reached[name] if name in reached.get(other, ())} | {name})) > 1
    }


def _reached(start: str, imports: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = [start]
    while ahead:
        new = imports.get(ahead.pop(), set()) - reached
        reached |= new
        ahead += new
    return reached


def test_no_modules_import_each_other() -> None:
    assert circles(graph(modules())) == set()


def test_the_test_of_circles_can_fail() -> None:
    sources = {
        "a": "from antibody_esm.b import one",
        "b": "def late():\n    from antibody_esm import c",
        "c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import antibody_esm.a",
        "d": "from antibody_esm.a import one\nimport numpy.linalg",
    }
    trees = {name: ast.parse(source) for name, source in sources.items()}
    assert graph(trees) == {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert circles(graph(trees)) == {frozenset("abc")}
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == set()


def test_no_module_imports_the_door() -> None:
    # The door imports every room, so that whoever imports it closes a circle.
    assert {name for name, imported in graph(modules()).items() if "" in imported} == set()


# Objects of Python and other libraries, which take their settings as attributes.
OF_LIBRARIES = {
    *("matrix.indices", "matrix.indptr", "function.argtypes", "os.environ", "warnings.showwarning"),
    "setattr(layer, name)",  # layers of torch
    "setattr(model.get_submodule(parent), name)",
    "products.fp32_precision",  # of torch's matrix products on CUDA devices
    "parameter.grad",  # of torch, which its optimizers read
    *(f"tags.{name}" for name in ("requires_fit", "transformer_tags.preserves_dtype")),  # of scikit-learn
    *(f"tags.input_tags.{name}" for name in ("string", "one_d_array", "two_d_array")),
}


def set_from_outside(tree: ast.AST) -> set[str]:
    """Return the attributes that code sets of objects other than its own."""
    found: set[str] = set()
    setters = {"setattr", "object.__setattr__"}
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
            if ast.unparse(node.value) in setters:
                setters |= {ast.unparse(target) for target in targets}
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        inner = [part for target in targets for part in ast.walk(target) if isinstance(part, ast.Attribute)]
        found |= {ast.unparse(part) for part in inner if isinstance(part.ctx, ast.Store)}
        if isinstance(node, ast.Call) and ast.unparse(node.func) in setters:
            found.add(f"setattr({', '.join(map(ast.unparse, node.args[:2]))})")
    return {text for text in found if not re.match(r"(setattr\()?(self|cls)\b", text)}


def test_nothing_sets_attributes_of_objects_that_are_not_its_own() -> None:
    trees = modules()
    del trees["testing"]  # it makes checkpoints of other libraries, part by part
    assert {(name, text) for name, tree in trees.items() for text in set_from_outside(tree) - OF_LIBRARIES} == set()


def test_the_test_of_attributes_can_fail() -> None:
    source = """
class A:
    def f(self, other):
        self.x, other.y = 1, 2
        self.part.z = 3
        object.__setattr__(other, "x", 4)
        put = object.__setattr__
        put(self, "x", 5)
        put(other, "v", 6)
        made = A()
        made.x += 1
"""
    assert set_from_outside(ast.parse(source)) == {"other.y", "setattr(other, 'x')", "setattr(other, 'v')", "made.x"}


# A pair is a string with a bar in it for users, in files, and where tokens are made; elsewhere it is a type.
WHERE_PAIRS_ARE_TEXT = {"sequences", "residue_codes", "data.tables", "data.labelled_tables", "data.reading"}
ROOMS_WHERE_PAIRS_ARE_TEXT = {"plm", "store", "cli", "reports", "serialization", "evaluation", "embedding", "testing"}


def test_a_pair_is_a_type_and_not_a_string_with_a_bar() -> None:
    reading = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and "BETWEEN" in {alias.name for alias in node.names}
    }
    assert {name for name in reading if room(name) not in ROOMS_WHERE_PAIRS_ARE_TEXT} <= WHERE_PAIRS_ARE_TEXT
    assert "plm.vocabulary" in reading, "the test sees who imports it"


def types_of(tree: ast.Module) -> set[str]:
    """Return the names of a module's public classes and type aliases."""
    names = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assigned = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
    names |= {target.id for target in assigned if isinstance(target, ast.Name)}
    return {name for name in names if re.fullmatch("[A-Z]+[a-z].*", name)}


def homonyms(trees: Mapping[str, ast.Module]) -> set[str]:
    counts = Counter(name for tree in trees.values() for name in types_of(tree))
    return {name for name, count in counts.items() if count > 1}


def test_no_name_of_a_type_has_two_meanings() -> None:
    assert homonyms(modules()) == set()


def test_the_test_of_homonyms_can_fail() -> None:
    sources = {"a": "class Pairs: ...\nT = 1", "b": "Pairs = int | str\nFORMAT = 1", "c": "FORMAT = 2\nT = 3"}
    assert homonyms({name: ast.parse(source) for name, source in sources.items()}) == {"Pairs"}


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    long = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path, n in lengths.items() if n > LONGEST_MODULE}
    assert long == set()


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
app = typer.Typer(rich_markup_mode="rich")
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
    *(("app", words, "--help") for words in ("propose", "fixes")),
    ("app", "liabilities", "--help"),
    ("app", "curve", "--help"),
    ("app", "card", "--help"),
    ("app", "recalibrate", "--help"),
    ("app", "serve", "--help"),
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
    # A transformer is a class of scikit-learn, which imports scipy.
    of_sklearn = {"sklearn", "scipy", "pandas"} if name == "EmbeddingTransformer" else set()
    assert loaded(f"from antibody_esm import {name}") & LIBRARIES <= of_sklearn


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
        ("app", "liabilities", "absent.csv", "-o", "out.csv"),
        ("app", "liabilities", "others.csv", "-o", "out.csv"),
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
    assert {
        *("Trainer", "TrainSpec", "ExtractorSpec", "LogisticRegressionSpec", "XGBoostSpec", "RuntimeSpec"),
        *("EmbeddingStore", "Extractor", "Predictor", "Dataset", "load_dataset", "embed", "AntibodyESMError"),
        *("Report", "Splitter", "number", "compare", "residue_contributions", "mutational_scan", "liabilities"),
    } <= set(antibody_esm.__all__)


def test_tab_completion_shows_public_names_alone() -> None:
    assert dir(antibody_esm) == sorted([*antibody_esm.__all__, "__version__"])


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [("scoring", "score_tables", "score_file"), ("data.sources", "data.public", "load_dataset")],
)
def test_an_earlier_name_of_a_module_warns_and_has_the_same_names(old: str, new: str, name: str) -> None:
    earlier = import_module(f"antibody_esm.{old}")
    with pytest.warns(
        DeprecationWarning, match=f"antibody_esm.{old}.{name} is now in antibody_esm.{new}; import {name} from"
    ):
        assert getattr(earlier, name) is getattr(import_module(f"antibody_esm.{new}"), name)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [("presets", "AnyExtractor", "AnyExtractorSpec"), ("data.identity", "Pairs", "SimilarPairs")],
)
def test_an_earlier_name_of_a_type_warns_and_is_the_same_type(module: str, old: str, new: str) -> None:
    home = import_module(f"antibody_esm.{module}")
    with pytest.warns(DeprecationWarning, match=f"{old} is .*{new} now"):
        assert getattr(home, old) is getattr(home, new)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        home.nothing  # noqa: B018


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
