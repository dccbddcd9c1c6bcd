"""Only the types of a written list are trusted in a saved classifier, and skops writes the same bytes as without it."""

import ast
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.cluster import KMeans
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skops.io import _trusted_types as of_skops

from antibody_esm import DecisionSpec, KNeighborsSpec, SplitSpec, StoreError, presets, trusted_types
from antibody_esm.classifiers import build
from antibody_esm.evaluation.calibration import decide
from antibody_esm.evaluation.cross_validation import fit
from antibody_esm.evaluation.recalibration import RecalibratedClassifier, RecalibratedRegressor
from antibody_esm.evaluation.splits import Division
from antibody_esm.serialization import dumps, loads, reproducible
from antibody_esm.trusted_types import LISTS, TRUSTED, skops_io

DECISIONS = [
    DecisionSpec(),
    DecisionSpec(calibration="sigmoid"),
    DecisionSpec(calibration="isotonic", threshold="balanced_accuracy"),
]
FITTED = [
    *((kind, decision) for kind in presets.CLASSIFIERS for decision in DECISIONS),
    *((kind, DecisionSpec()) for kind in presets.REGRESSORS),
]


def fitted(kind: str, decision: DecisionSpec) -> Any:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 4))
    value = X[:, 0] + generator.normal(size=60)
    estimator = decide(build(presets.ESTIMATORS[kind], 4), decision, SplitSpec())
    label = value if kind in presets.REGRESSORS else (value > 0).astype(int)
    return fit(estimator, X, label, Division(SplitSpec()))


@pytest.mark.parametrize(("kind", "decision"), FITTED, ids=str)
def test_a_classifier_is_written_with_the_bytes_of_skops_and_read_again(kind: str, decision: DecisionSpec) -> None:
    estimator = fitted(kind, decision)
    content = dumps(estimator)
    assert content == reproducible(skops.io.dumps(estimator))
    again = loads(content, Path("classifier.skops"), regression=kind in presets.REGRESSORS)
    X = np.random.default_rng(1).normal(size=(9, 4))
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))


@pytest.mark.parametrize(
    "estimator",
    [
        Pipeline([("classify", GaussianNB())]),
        Pipeline([("scale", MinMaxScaler()), ("classify", GaussianNB())]),
        Pipeline([("scale", StandardScaler()), ("classify", KMeans(2))]),
    ],
    ids=str,
)
def test_types_of_scikit_learn_that_skops_trusts_and_no_spec_needs_are_refused(estimator: Pipeline) -> None:
    content = skops.io.dumps(estimator.fit(np.arange(8.0)[:, None], np.arange(8) % 2))
    assert not skops.io.get_untrusted_types(data=content), "skops itself trusts these"
    with pytest.raises(StoreError, match=r"classifier\.skops: holds types that are not trusted: sklearn"):
        loads(content, Path("classifier.skops"), regression=False)


def test_skops_takes_no_other_names_from_its_private_module_than_those_that_stand_in() -> None:
    spec = find_spec("skops.io")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    taken = set()
    for path in Path(spec.submodule_search_locations[0]).rglob("*.py"):
        if "tests" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("_trusted_types"):
                    taken |= {name.name for name in node.names}
    assert taken == set(LISTS)


def test_skops_itself_trusts_all_that_it_trusts_here_without_being_told() -> None:
    for name, types in LISTS.items():
        assert set(types) <= set(getattr(of_skops, name)), name


def test_of_the_trusted_types_these_were_reviewed_here_and_all_others_by_skops() -> None:
    by_skops = {name for names in LISTS for name in getattr(of_skops, names)}
    assert {name.rpartition(".")[2] for name in TRUSTED - by_skops} == {
        *("AverageClassifier", "AverageRegressor", "RecalibratedClassifier", "RecalibratedRegressor", "Reduction"),
        *("CalibratedClassifier", "ColumnEncoder", "_CalibratedClassifier", "_SigmoidCalibration"),
        *("RisingClassifierCV", "RisingSigmoid"),
        *("_BinaryGaussianProcessClassifierLaplace", "ConstantKernel", "Product", "RBF", "Sum", "WhiteKernel"),
        *("EuclideanDistance64", "ManhattanDistance64", "KDTree", "Tree"),
        *("Booster", "XGBClassifier", "XGBRegressor"),
    }


def test_every_trusted_type_is_needed_by_some_estimator_or_is_a_number() -> None:
    needed = set()
    for kind, decision in FITTED:
        needed |= set(skops_io().get_untrusted_types(data=skops_io().dumps(fitted(kind, decision))))
    X = np.arange(60.0).reshape(30, 2)
    of_metric = build(KNeighborsSpec(metric="manhattan"), 2).fit(X, np.arange(30) % 2)
    needed |= set(skops_io().get_untrusted_types(data=skops_io().dumps(of_metric)))
    of_columns = build(KNeighborsSpec(), 2, ["category", "number"]).fit(X, np.arange(30) % 2)
    needed |= set(skops_io().get_untrusted_types(data=skops_io().dumps(of_columns)))
    of_components = build(KNeighborsSpec(), 2, pca=1).fit(X, np.arange(30) % 2)
    needed |= set(skops_io().get_untrusted_types(data=skops_io().dumps(of_components)))
    for recalibrated in (RecalibratedClassifier, RecalibratedRegressor):
        needed |= set(skops_io().get_untrusted_types(data=skops_io().dumps(recalibrated(of_metric))))
    # of models saved before calibrations were kept from falling
    needed |= {"sklearn.calibration.CalibratedClassifierCV", "sklearn.calibration._SigmoidCalibration"}
    assert {name for name in TRUSTED - needed if not name.startswith("numpy.")} == set()


def modules_after(program: str) -> set[str]:
    text = f"{program}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    return set(json.loads(subprocess.run([sys.executable, "-c", text], capture_output=True, check=True).stdout))


def test_what_is_loaded_for_a_saved_model_is_not_all_of_scikit_learn() -> None:
    loaded = modules_after("from antibody_esm.trusted_types import skops_io; skops_io()")
    assert {"sklearn.tree._tree", "sklearn.linear_model"} <= loaded
    rest = {"sklearn.datasets", "sklearn.ensemble", "sklearn.gaussian_process", "sklearn.neural_network"}
    assert not rest & loaded
    assert rest <= modules_after("import skops.io"), "the test can fail"


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_skops_is_as_it_was_for_everybody_else_in_the_process(first: str) -> None:
    ours = "from antibody_esm.trusted_types import skops_io; ours = skops_io()\n"
    theirs = "import skops.io, skops.io._trusted_types\n"
    check = (
        "import sys\n"
        "assert skops.io is sys.modules['skops.io'] is not ours\n"
        "assert 'sklearn.cluster._kmeans.KMeans' in skops.io._trusted_types.SKLEARN_ESTIMATOR_TYPE_NAMES\n"
        "from sklearn.cluster import KMeans\n"
        "content = skops.io.dumps(KMeans())\n"
        "assert skops.io.loads(content).n_clusters == 8\n"
        "assert ours.get_untrusted_types(data=content) == ['sklearn.cluster._kmeans.KMeans']\n"
    )
    modules_after((ours + theirs if first == "ours" else theirs + ours) + check)


def test_another_version_of_skops_is_named_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: module for name, module in sys.modules.items() if name.startswith("skops")}
    monkeypatch.setattr(trusted_types, "LISTS", {"PRIMITIVE_TYPE_NAMES": ("builtins.str",)})
    with pytest.raises(ImportError, match=r"cannot import name .* tested with skops 0\.16"):
        trusted_types._copy.__wrapped__()
    assert {name: module for name, module in sys.modules.items() if name.startswith("skops")} == before
