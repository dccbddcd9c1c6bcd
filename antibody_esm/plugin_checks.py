"""Contracts of plugins as checks that their authors can run in their own tests."""

import hashlib
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from antibody_esm import presets
from antibody_esm.classifiers import build
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.public import load_dataset
from antibody_esm.errors import DatasetError, PluginError
from antibody_esm.features.from_plugin import FromPlugin
from antibody_esm.plugin_types import trusted_types_of
from antibody_esm.plugins import named
from antibody_esm.serialization import dumps, loads
from antibody_esm.specs import PluginClassifierSpec, PluginExtractorSpec, PluginRegressorSpec
from antibody_esm.specs.plugins import Option

_HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDY"
    "WGQGTLVTVSS"
)
SEQUENCES = (
    "W",
    "EVQLVESGGG",
    _HEAVY,
    "DIQMTQSPSSLSASVGDRVTITC",
    _HEAVY[:60],
    _HEAVY.replace("GFNIK", "GFXIK"),
    "QVQLQQ",
)
"""Chains of one residue up to a whole domain, one with an unknown residue."""


def check_extractor(name: str, **options: Option) -> None:
    """Check the contract of an extractor of an installed package.

    It returns float32 ``(n, dim)``, finite, a row a sequence in input order; the same rows in every call, object and
    process; a row that depends on its own sequence alone, bit for bit, whatever else is in the list; it leaves its
    input as it is, and refuses options that it does not have.

    Parameters
    ----------
    name
        Name of the entry point.
    options
        Options of the extractor.

    Raises
    ------
    AssertionError
        If a part of the contract is broken; the message names it.
    PluginError, ValueError
        If the extractor cannot be found, imported or constructed.
    """
    spec = PluginExtractorSpec.of(name, **options)
    source, sequences = FromPlugin(spec), list(SEQUENCES)
    rows = _held(lambda: source.of_chains(sequences), "embed")
    _demand(rows.shape[1] > 0, "vectors have no element")
    _demand(sequences == list(SEQUENCES), "embed changes the list of sequences that it is passed")
    _demand(np.array_equal(rows, source.of_chains(sequences)), "two calls return other rows")
    _demand(np.array_equal(rows, FromPlugin(spec).of_chains(sequences)), "two objects return other rows")
    alone = [source.of_chains([sequence]) for sequence in sequences]
    _demand({row.shape for row in alone} == {(1, rows.shape[1])}, "the length of a vector depends on its sequence")
    _demand(np.array_equal(rows, np.vstack(alone)), "a row depends on the other sequences of the list")
    _demand(np.array_equal(rows[::-1], source.of_chains(sequences[::-1])), "rows are not in the order of the sequences")
    long = source.of_chains(sequences + [_HEAVY[:length] for length in range(5, 70)])
    _demand(np.array_equal(rows, long[: len(rows)]), "a row depends on the number of sequences in the list")
    _demand(source.dim == rows.shape[1], "the length of a vector differs between calls")
    made = spec.make()
    _demand(not np.shares_memory(made.embed(sequences), made.embed(sequences)), "two calls return one array")
    _refuses_other_options(spec)
    code = (
        "import hashlib\nfrom antibody_esm.specs import PluginExtractorSpec\n"
        "from antibody_esm.features.from_plugin import FromPlugin\n"
        f"spec = PluginExtractorSpec.model_validate_json({spec.model_dump_json()!r})\n"
        f"print(hashlib.sha256(FromPlugin(spec).of_chains({sequences!r}).tobytes()).hexdigest())"
    )
    _demand(
        _in_another_process(code) == hashlib.sha256(rows.tobytes()).hexdigest(), "another process returns other rows"
    )


def check_classifier(name: str, **options: Option) -> None:
    """Check the contract of a classifier or regressor of an installed package.

    It is an unfitted estimator of scikit-learn that can be cloned; two fits on the same rows predict the same, bit for
    bit; a prediction depends on its own row alone; probabilities are from 0 to 1, and sum to 1; the rows that it is
    passed stay as they are; it can be saved and loaded with the types that it declares, and predicts the same then.

    Parameters
    ----------
    name
        Name of the entry point.
    options
        Options of the estimator.

    Raises
    ------
    AssertionError
        If a part of the contract is broken; the message names it.
    PluginError, ValueError
        If it cannot be found, imported or constructed.
    """
    from sklearn.base import clone

    plugin = named("classifier", name)
    if plugin is None:
        PluginClassifierSpec.of(name)  # raises the error
        raise PluginError(f"there is no classifier {name!r}")
    kind = type(presets.plugin_estimator(plugin))
    spec: PluginClassifierSpec | PluginRegressorSpec = kind.of(name, **options)
    generator = np.random.default_rng(0)
    X, other = generator.normal(size=(40, 6)), generator.normal(size=(15, 6))
    value = X[:, 0] + generator.normal(size=40) / 2
    label = value if spec.is_regressor else (value > 0).astype(np.int64)
    before = X.copy(), label.copy()
    pipeline = build(spec, 6)
    clone(pipeline)  # raises an error if parameters are changed on construction
    fitted = [clone(pipeline).fit(X, label) for _ in range(2)]
    _demand(np.array_equal(X, before[0]) and np.array_equal(label, before[1]), "fit changes the rows that it is passed")

    def predict(model: Any, rows: Any) -> Any:
        return model.predict(rows) if spec.is_regressor else model.predict_proba(rows)

    predicted = _held(lambda: np.asarray(predict(fitted[0], other)), "predict")
    _demand(np.isfinite(predicted).all(), "predictions are not finite")
    _demand(np.array_equal(predicted, predict(fitted[1], other)), "two fits on the same rows predict other numbers")
    alone = np.concatenate([np.asarray(predict(fitted[0], other[row : row + 1])) for row in range(len(other))])
    _demand(np.array_equal(predicted, alone), "a prediction depends on the other rows")
    if spec.is_regressor:
        _demand(predicted.shape == (15,), f"predict returns shape {predicted.shape}, not (n,)")
    else:
        _demand(predicted.shape == (15, 2), f"predict_proba returns shape {predicted.shape}, not (n, 2)")
        _demand(((predicted >= 0) & (predicted <= 1)).all(), "probabilities are not from 0 to 1")
        _demand(np.allclose(predicted.sum(axis=1), 1), "probabilities of the two classes do not sum to 1")
        _demand(list(fitted[0].classes_) == [0, 1], "classes_ is not [0, 1] after a fit on 0 and 1")
    content = dumps(fitted[0])
    _demand(content == dumps(fitted[0]), "it is not saved with the same bytes twice")
    again = loads(content, Path(name), regression=spec.is_regressor, further=trusted_types_of(spec))
    _demand(np.array_equal(predicted, predict(again, other)), "a saved and loaded model predicts other numbers")
    _refuses_other_options(spec)


def check_dataset(name: str) -> None:
    """Check the contract of a data set of an installed package.

    It returns a `Dataset` with labels and a source, the same in every call and process, and refuses labels that it does
    not have with a `DatasetError`.

    Parameters
    ----------
    name
        Name of the entry point.

    Raises
    ------
    AssertionError
        If a part of the contract is broken; the message names it.
    PluginError, ValueError
        If it cannot be found, imported or called.
    """
    plugin = named("data set", name)
    if plugin is None:
        raise ValueError(f"no installed package offers the data set {name!r}")
    data = load_dataset(name)
    _demand(isinstance(data, Dataset) and len(data) > 0, "it has no antibody")
    _demand(data.label is not None or bool(data.targets), "it has no labels")
    own = plugin.load()().provenance.source  # without the package, which `load_dataset` adds
    _demand(own not in ("", Dataset(["a"], ["EVQ"]).provenance.source), "its provenance names no source")
    _demand(data.digest == load_dataset(name).digest, "two calls return other data")
    if inspect.signature(plugin.load()).parameters:
        try:
            load_dataset(name, labels="no such labels")
        except DatasetError:
            pass
        else:
            raise AssertionError("labels that it does not have are not refused with a DatasetError")
    code = f"from antibody_esm import load_dataset\nprint(load_dataset({name!r}).digest)"
    _demand(_in_another_process(code) == data.digest, "another process returns other data")


def _demand(held: bool, problem: str) -> None:
    if not held:
        raise AssertionError(problem)


def _held(call: Callable[[], Any], what: str) -> Any:
    """Return the result of a call; a PluginError of it is a broken contract."""
    try:
        return call()
    except PluginError as error:
        raise AssertionError(f"{what}: {error}") from error


def _refuses_other_options(spec: PluginExtractorSpec | PluginClassifierSpec | PluginRegressorSpec) -> None:
    other = spec.model_copy(update={"options": (*spec.options, ("no_such_option", 1))})
    try:
        other.make()
    except PluginError:
        return
    raise AssertionError("an option that it does not have is not refused: a misspelt one would have no effect")


def _in_another_process(code: str) -> str:
    """Return what a program prints in a process with the same path of imports and another seed of hashes."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "123"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)  # noqa: S603  code of this module
    _demand(done.returncode == 0, f"it fails in another process: {done.stderr[-500:]}")
    return done.stdout.strip()
