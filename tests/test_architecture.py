"""The house keeps its shape: layers, light imports, public names."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import antibody_esm
from antibody_esm import testing

ROOT = Path(antibody_esm.__file__).parent

# Lowest first; a module imports only from rows above its own, or from its own room.
LAYERS = [
    {"errors", "processes", "threads"},
    {"files"},
    {"folders", "limits", "results"},
    {"ubjson"},
    {"schemas"},
    {"sequences", "specs"},
    {"presets", "numbering", "storage_formats", "batch"},
    {"data", "store", "plm", "classifiers", "descriptors"},
    {"features"},
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


def modules() -> dict[str, set[str]]:
    """Modules of the package with those that each imports: also inside functions, and for types alone."""
    paths = {
        ".".join(("antibody_esm", *path.relative_to(ROOT).with_suffix("").parts)): path for path in ROOT.rglob("*.py")
    }
    named = {name.removesuffix(".__init__"): name for name in paths}
    found: dict[str, set[str]] = {}
    for name, path in paths.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                inside = [f"{node.module}.{alias.name}" for alias in node.names]
                found[name] |= {named.get(one) or named.get(node.module, "") for one in inside} - {"", name}
    return found


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Sets of modules of which each reaches every other."""
    reached: dict[str, set[str]] = {}
    for name in graph:
        there, todo = set[str](), [name]
        while todo:
            new = graph.get(todo.pop(), set()) - there
            there |= new
            todo += new
        reached[name] = there
    found = []
    for name, there in reached.items():
        circle = {other for other in there if name in reached[other]}
        if circle and circle not in found:
            found.append(circle)
    return found


def test_no_circle_of_imports_inside_or_through_these_rooms() -> None:
    graph = {
        name: {other for other in others if (room(name), room(other)) not in ALLOWED}
        for name, others in modules().items()
    }
    clean = {"plm", "store", "features", "embedding", "batch", "storage_formats"}
    assert [circle for circle in circles(graph) if clean & set(map(room, circle))] == []


def test_the_test_of_circles_can_fail() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"b"}, "d": set()}
    assert circles(graph) == [{"b", "c"}]
    assert "antibody_esm.plm.model" in modules()["antibody_esm.plm.extractor"]
    assert "antibody_esm.plm.fused" in modules()["antibody_esm.plm.model"], "imported inside a function"


def test_no_module_of_these_rooms_is_longer_than_400_lines() -> None:
    paths = [*ROOT.glob("plm/*.py"), *ROOT.glob("store/*.py"), *ROOT.glob("features/*.py"), ROOT / "embedding.py"]
    assert [path.name for path in paths if len(path.read_text().splitlines()) > 400] == []


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


def test_specs_and_presets_load_pydantic_and_nothing_heavier() -> None:
    assert loaded("from antibody_esm import TrainSpec, presets") & HEAVY == {"pydantic"}


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
