"""Extractors, classifiers and data sets of other packages: found lazily, refused by name, saved by version."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    Dataset,
    DecisionSpec,
    EmbeddingStore,
    EmbeddingTransformer,
    EnsembleSpec,
    Panel,
    Predictor,
    SplitSpec,
    Trainer,
    TrainSpec,
    embed,
    embed_stream,
    load_dataset,
)
from antibody_esm.cli.app import app
from antibody_esm.errors import PluginError, StoreError
from antibody_esm.features.from_plugin import FromPlugin
from antibody_esm.plugins import offered_names
from antibody_esm.specs import DescriptorSpec, PluginClassifierSpec, PluginExtractorSpec, PluginRegressorSpec
from antibody_esm.specs.plugins import plugins_of
from antibody_esm.testing import check_classifier, check_dataset, check_extractor
from chains import HEAVY, LIGHT, mutants
from conftest import ROOT
from reporting import antibodies

PACKAGE = "antibody-esm-example"
THREE = SplitSpec(folds=3)


def package(folder: Path, name: str, entries: dict[str, dict[str, str]], code: str, version: str = "1.0") -> Path:
    """Write an installed package: its module, and the metadata that pip writes."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(textwrap.dedent(code))
    metadata = folder / f"{module}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {module}:{value}\n" for key, value in each.items())
        for group, each in entries.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    return folder


def of_extractors(**entries: str) -> dict[str, dict[str, str]]:
    return {"antibody_esm.extractors": entries}


def test_the_package_of_the_documentation_passes_its_contract_tests(example: None) -> None:
    check_extractor("spaced_pairs")
    check_extractor("spaced_pairs", gap=3)
    check_classifier("nearest_mean", sharpness=2.0)
    check_classifier("mean_of_neighbours")
    check_dataset("charged_loops")


def test_a_plugin_is_trained_saved_and_loaded_if_its_package_is_named(example: None, tmp_path: Path) -> None:
    data = load_dataset("charged_loops")
    assert data.provenance.source == f"made-up loops; package {PACKAGE} 1.0.0"
    model = Trainer("spaced_pairs", "nearest_mean", THREE, store=tmp_path / "store").fit(data)
    model.save(tmp_path / "model")
    assert f'"{PACKAGE}": "1.0.0"' in (tmp_path / "model" / "manifest.json").read_text()
    message = rf"runs code of the package {PACKAGE}; if you trust it, load the model with plugins=\['{PACKAGE}'\]"
    with pytest.raises(PluginError, match=message):
        Predictor.load(tmp_path / "model")
    with pytest.raises(PluginError, match=message):
        Predictor.load(tmp_path / "model", plugins=["another"])
    again = Predictor.load(tmp_path / "model", plugins=[PACKAGE])
    assert np.array_equal(again.predict_proba(data), model.predict_proba(data))
    assert again.digest == model.digest
    pd_columns = model.score_table(data).columns
    assert "calibrated" in pd_columns


def test_the_environment_names_packages_for_commands(
    example: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_dataset("charged_loops")
    Trainer("spaced_pairs", "logreg", THREE).fit(data, uncertainty=False).save(tmp_path / "model")
    data.to_frame().to_csv(tmp_path / "table.csv", index=False)
    words = ["predict", str(tmp_path / "table.csv"), "-m", str(tmp_path / "model"), "-o", str(tmp_path / "out.csv")]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 1
    assert f"ANTIBODY_ESM_PLUGINS={PACKAGE}" in refused.stderr
    assert not (tmp_path / "out.csv").exists()
    monkeypatch.setenv("ANTIBODY_ESM_PLUGINS", f"other, {PACKAGE}")
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 61


def test_a_model_is_not_loaded_without_its_package_or_with_another_version(
    example: None, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_dataset("charged_loops")
    pipelines = {"one": ("spaced_pairs", "logreg"), "two": ("descriptors", "nearest_mean")}
    for name, (extractor, classifier) in pipelines.items():
        Trainer(extractor, classifier, THREE).fit(data, uncertainty=False).save(tmp_path / name)
    others = [place for place in sys.path if place != str(site)]
    monkeypatch.setattr(sys, "path", others)
    for name in pipelines:
        with pytest.raises(PluginError, match=f"needs the package {PACKAGE} 1.0.0, which is not installed"):
            Predictor.load(tmp_path / name, plugins=[PACKAGE])
    shutil.copytree(site, tmp_path / "newer")
    [metadata] = (tmp_path / "newer").glob("*.dist-info")
    metadata = metadata.rename(tmp_path / "newer" / "antibody_esm_example-2.0.0.dist-info")
    text = (metadata / "METADATA").read_text()
    (metadata / "METADATA").write_text(text.replace("Version: 1.0.0", "Version: 2.0.0"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "newer"), *others])
    for name in pipelines:
        with pytest.raises(PluginError, match="of antibody-esm-example 1.0.0, and 2.0.0 is installed"):
            Predictor.load(tmp_path / name, plugins=[PACKAGE])


UNDECLARED = """
    from antibody_esm_example.classifiers import NearestMean
    def plain(): return NearestMean()
    def greedy(): return NearestMean()
    greedy.trusted_types = ("os.system", "antibody_esm_example.classifiers.NearestMean")
"""


def test_types_of_a_plugin_stay_closed_unless_it_declares_its_own(
    example: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {"antibody_esm.classifiers": {"plain": "plain", "greedy": "greedy"}}
    monkeypatch.syspath_prepend(str(package(tmp_path, "undeclared-types", entries, UNDECLARED)))
    data = antibodies(40, seed=2)
    for name in ("plain", "greedy"):
        Trainer("descriptors", name, THREE).fit(data, uncertainty=False, check=False).save(tmp_path / name)
    with pytest.raises(StoreError, match="types that are not trusted: antibody_esm_example.classifiers.NearestMean"):
        Predictor.load(tmp_path / "plain", plugins=["undeclared-types"])
    with pytest.raises(PluginError, match="types of other packages as trusted: antibody_esm_example.*os.system"):
        Predictor.load(tmp_path / "greedy", plugins=["undeclared-types"])


def test_no_package_is_imported_before_its_name_is_used(site: Path) -> None:
    code = """
        import sys
        from antibody_esm import Trainer, load_dataset, presets
        from antibody_esm.plugins import offered_names
        from antibody_esm.specs import PluginExtractorSpec
        assert offered_names("extractor") == ("spaced_pairs",)
        Trainer("descriptors", "ridge"), load_dataset("boughter_flu_cdrs")
        Trainer("spaced_pairs"), PluginExtractorSpec.of("spaced_pairs", gap=2)
        for name in ("spaced_pair", "spaced"):
            try: presets.extractor(name)
            except ValueError as error: assert "spaced_pairs" in str(error)
        assert "antibody_esm_example" not in sys.modules
    """
    environment = os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=environment)


def test_the_help_shows_names_of_plugins_and_imports_none(site: Path) -> None:
    code = "import sys; sys.argv = ['antibody-train', '--help']; from antibody_esm.cli.train import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "assert not {'antibody_esm_example', 'numpy', 'sklearn', 'torch'} & set(sys.modules)"
    environment = os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True)
    assert {"spaced_pairs", "nearest_mean", "mean_of_neighbours"} <= set(done.stdout.replace(",", " ").split())


def test_a_name_of_ours_and_a_name_of_two_packages_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "class One:\n    def embed(self, sequences): ...\nasked = One"
    groups = {
        **of_extractors(esm2_8m="One", twice_offered="One"),
        "antibody_esm.classifiers": {"logreg": "One"},
        "antibody_esm.datasets": {"jain": "One"},
    }
    monkeypatch.syspath_prepend(str(package(tmp_path, "clash-one", groups, code)))
    monkeypatch.syspath_prepend(str(package(tmp_path, "clash-two", of_extractors(twice_offered="One"), code)))
    ours = "of the package clash-one 1.0 has the name of one of antibody_esm's own: remove the package"
    with pytest.raises(PluginError, match=f"the extractor 'esm2_8m' {ours}"):
        Trainer("esm2_8m")
    with pytest.raises(PluginError, match=f"the classifier 'logreg' {ours}"):
        Trainer("descriptors", "logreg")
    with pytest.raises(PluginError, match=f"the data set 'jain' {ours}"):
        load_dataset("jain")
    with pytest.raises(PluginError, match="'esm2_8m' of the package clash-one"):
        TrainSpec.compose(["model=esm2_8m"])
    with pytest.raises(PluginError, match="clash-one 1.0 has the name of the extractor 'twice_offered' .* clash-two"):
        Trainer("twice_offered")
    Trainer("descriptors", "ridge")  # other names stay as they are
    assert "twice_offered" in offered_names("extractor")


def test_a_plugin_that_fails_is_named_with_its_package_and_never_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = {
        **of_extractors(fails_on_import="Any"),
        "antibody_esm.classifiers": {"fails_too": "any"},
        "antibody_esm.datasets": {"fails_as_well": "any"},
    }
    monkeypatch.syspath_prepend(str(package(tmp_path, "failing-import", groups, "1 / 0")))
    named = "of the package failing-import 1.0 cannot be imported: ZeroDivisionError"
    data = antibodies(40)
    for call in (
        lambda: Trainer("fails_on_import").fit(data),
        lambda: embed(["EVQLV"], "fails_on_import"),
        lambda: Trainer("descriptors", "fails_too"),
        lambda: load_dataset("fails_as_well"),
        lambda: TrainSpec.compose(["classifier=fails_too"]),
        lambda: check_extractor("fails_on_import"),
    ):
        with pytest.raises((PluginError, AssertionError), match=named):
            call()


BROKEN = """
    import numpy as np, random
    def plain(sequences, dtype=np.float32):
        return np.array([[len(s), s.count("K")] for s in sequences], dtype)
    class Base:
        def __init__(self): pass
    class Random(Base):
        def embed(self, s): return plain(s) + np.float32(random.random())
    class Centred(Base):
        def embed(self, s): return plain(s) - plain(s).mean(axis=0)
    class Double(Base):
        def embed(self, s): return plain(s, np.float64)
    class Short(Base):
        def embed(self, s): return plain(s)[:-1]
    class Sorted(Base):
        def embed(self, s): return plain(sorted(s))
    class Nan(Base):
        def embed(self, s): return plain(s) * np.float32("nan")
    class Changes(Base):
        def embed(self, s):
            rows = plain(s); s.reverse(); return rows
    class Deaf:
        def __init__(self, **options): pass
        def embed(self, s): return plain(s)
    class Hashes(Base):
        def embed(self, s): return plain(s) + np.array([[hash(x) % 97, 0] for x in s], np.float32)
    class Raises(Base):
        def embed(self, s): raise KeyError("lost")
    class Dumb(Base): pass
    class Flat(Base):
        def embed(self, s): return [len(x) for x in s]
    class Wide(Base):
        def embed(self, s): return np.ones((len(s), max(map(len, s))), np.float32)
    class Reused(Base):
        rows = None
        def embed(self, s):
            rows = plain(s)
            if self.rows is None or self.rows.shape != rows.shape: self.rows = rows
            self.rows[:] = rows
            return self.rows
"""
CONTRACTS = {
    "Random": "two calls return other rows",
    "Centred": "a row depends on the other sequences",
    "Double": "must return float32 of shape .* and returned float64",
    "Short": r"must return float32 of shape \(7, dim\), .* shape \(6, 2\)",
    "Sorted": "a row depends on the other sequences|not in the order",
    "Nan": "numbers that are not finite",
    "Deaf": "an option that it does not have is not refused",
    "Hashes": "another process returns other rows",
    "Raises": "failed: KeyError: 'lost'",
    "Dumb": "has no method embed",
    "Flat": "returned list of shape None",
    "Wide": "a row depends on|the length of a vector depends on its sequence",
    "Reused": "two calls return one array",
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_broken_contract_of_an_extractor_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = f"broken-{name.lower()}"
    monkeypatch.syspath_prepend(str(package(tmp_path, broken, of_extractors(**{f"x_{name}": name}), BROKEN)))
    with pytest.raises(AssertionError, match=CONTRACTS[name]):
        check_extractor(f"x_{name}")


def test_a_plugin_cannot_change_the_list_of_a_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(package(tmp_path, "changes-lists", of_extractors(changes="Changes"), BROKEN)))
    chains = ["EVQLV", "KKQ"]
    assert embed(chains, "changes").tolist() == [[5.0, 0.0], [3.0, 2.0]]
    assert chains == ["EVQLV", "KKQ"]


BAD_CLASSIFIERS = """
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin
    class Noise(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.array([0, 1]); self.n_features_in_ = X.shape[1]; self.shift_ = np.random.rand()
            return self
        def predict_proba(self, X):
            return np.tile([self.shift_, 1 - self.shift_], (len(X), 1))
        def predict(self, X): return np.zeros(len(X))
    class Ranks(Noise):
        def fit(self, X, y):
            self.classes_ = np.array([0, 1]); self.n_features_in_ = X.shape[1]; return self
        def predict_proba(self, X):
            rank = np.argsort(np.argsort(X[:, 0])) / len(X); return np.column_stack([1 - rank, rank])
    def no_estimator(): return 3
    def noise(): return Noise()
    def ranks(): return Ranks()
"""


def test_a_broken_contract_of_a_classifier_or_a_data_set_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = textwrap.dedent(BAD_CLASSIFIERS) + textwrap.dedent("""
        from antibody_esm import Dataset
        from antibody_esm.data.dataset import Provenance
        def unlabelled(): return Dataset(["a"], ["EVQ"], provenance=Provenance("s"))
        def unnamed(): return Dataset(["a", "b"], ["EVQ", "EV"], label=[0, 1])
        def other(): return 3
        def changing(): return Dataset(["a"], ["EVQ"], label=[np.random.rand()], provenance=Provenance("s"))
    """)
    sets = ("unlabelled", "unnamed", "other", "changing")
    groups = {
        "antibody_esm.classifiers": {f"c_{name}": name for name in ("noise", "ranks", "no_estimator")},
        "antibody_esm.datasets": {f"d_{name}": name for name in sets},
    }
    monkeypatch.syspath_prepend(str(package(tmp_path, "bad-classifiers", groups, code)))
    for name, problem in {"c_noise": "two fits on the same rows", "c_ranks": "depends on the other rows"}.items():
        with pytest.raises(AssertionError, match=problem):
            check_classifier(name)
    with pytest.raises(PluginError, match="is no estimator of scikit-learn"):
        check_classifier("c_no_estimator")
    problems = (
        "has no labels",
        "names no source",
        "must return a Dataset, and returned a int",
        "two calls return other data",
    )
    for name, problem in zip(sets, problems, strict=True):
        with pytest.raises((AssertionError, PluginError), match=problem):
            check_dataset(f"d_{name}")


def test_every_part_of_the_identity_changes_the_fingerprint() -> None:
    base: dict[str, Any] = {"name": "a", "package": "p", "version": "1", "options": {"k": 1}}
    others: list[dict[str, Any]] = [{"name": "b"}, {"package": "q"}, {"version": "2"}]
    others += [{"options": options} for options in ({"k": 2}, {}, {"k": "1"}, {"k": True}, {"k": 1.0})]
    for kind in (PluginExtractorSpec, PluginClassifierSpec, PluginRegressorSpec):
        specs = [kind(**(base | other)) for other in [{}, *others]]
        assert len({spec.fingerprint for spec in specs}) == len(set(specs)) == len(specs)
        for spec in specs:
            assert kind.model_validate_json(spec.model_dump_json()) == spec
            assert plugins_of(spec) == (spec,)
    first: dict[str, Any] = {"options": {"x": 1, "y": "b"}}
    second: dict[str, Any] = {"options": {"y": "b", "x": 1}}
    assert PluginExtractorSpec(**(base | first)) == PluginExtractorSpec(**(base | second))
    address = FromPlugin(PluginExtractorSpec(**base)).address
    assert address != FromPlugin(PluginExtractorSpec(**(base | {"version": "2"}))).address
    member = EnsembleSpec(members=(DescriptorSpec(), PluginExtractorSpec(**base)), combine="concat")
    train = TrainSpec(extractor=member, classifier=PluginClassifierSpec(**base))
    assert {spec.kind for spec in plugins_of(train)} == {"plugin_extractor", "plugin_classifier"}
    assert TrainSpec.model_validate_json(train.model_dump_json()) == train


def test_vectors_are_stored_once_for_chains_pairs_ensembles_and_streams(example: None, tmp_path: Path) -> None:
    heavies, lights = mutants(HEAVY, 6, 1), mutants(LIGHT, 6, 2)
    store, spec = EmbeddingStore(tmp_path / "store"), PluginExtractorSpec.of("spaced_pairs", gap=2)
    singles = embed(heavies, spec, store)
    assert singles.shape == (6, 400)
    assert singles.dtype == np.float32
    assert np.array_equal(singles, embed(heavies, spec))
    assert store.count(FromPlugin(spec).address) == len(set(heavies))
    pairs = list(zip(heavies, lights, strict=True))
    both = embed(pairs, spec, store)
    assert np.array_equal(both, np.hstack([embed(heavies, spec), embed(lights, spec)]))
    assert store.count(FromPlugin(spec).address) == len({*heavies, *lights})
    (tmp_path / "store").rename(tmp_path / "moved")
    kept = FromPlugin(spec)
    assert np.array_equal(embed(heavies, kept, tmp_path / "moved"), singles)
    assert kept.computed == 0, "rows of the store are not computed again"
    ensemble = EnsembleSpec(members=(spec, DescriptorSpec(descriptors=("length",))), combine="concat")
    assert np.array_equal(embed(heavies, ensemble)[:, :400], singles)
    assert np.array_equal(np.vstack([block.vectors for block in embed_stream(heavies, spec, at_once=4)]), singles)
    assert np.array_equal(EmbeddingTransformer(spec).fit_transform(pairs), both)
    assert embed([], spec).shape == (0, 400)


def test_plugins_meet_every_other_capability(example: None, tmp_path: Path) -> None:
    data = load_dataset("charged_loops")
    values = load_dataset("charged_loops", labels="charge")
    decided = Trainer("spaced_pairs", "nearest_mean", THREE, decision=DecisionSpec(calibration="sigmoid"))
    report = decided.cross_validate(data)
    assert f"spaced_pairs ({PACKAGE} 1.0.0) + nearest_mean" in str(report)
    report.to_html(tmp_path / "report.html")
    assert PACKAGE in (tmp_path / "report.html").read_text()
    tuned = Trainer("spaced_pairs", "logreg", THREE, tune={"classifier.C": [0.1, 1.0]}, pca=5)
    assert tuned.fit(data, uncertainty=False).explain(data[0].text).method == "occlusion"
    regressor = Trainer("spaced_pairs", "mean_of_neighbours", THREE).fit(values)
    assert {"low", "high"} <= set(regressor.score_table(values).columns)
    grid = Benchmark(["descriptors", "spaced_pairs"], ["logreg", "nearest_mean"], data, split=THREE).run()
    assert len(grid.reports) == 4
    measured = {"a": np.asarray(values.label), "b": -np.asarray(values.label)}
    several = Dataset(values.ids, values.heavy, measurements=measured, targets=("a", "b"), fragment="H-CDR3")
    panel = Panel.fit(Trainer("spaced_pairs", "mean_of_neighbours", THREE), several, uncertainty=False)
    panel.save(tmp_path / "panel")
    with pytest.raises(PluginError, match="if you trust it"):
        Panel.load(tmp_path / "panel")
    again = Panel.load(tmp_path / "panel", plugins=[PACKAGE])
    assert again.predict(several).equals(panel.predict(several))
    composed = TrainSpec.compose(["model=spaced_pairs", "classifier=nearest_mean", "split.folds=3"])
    assert composed == Trainer("spaced_pairs", "nearest_mean", THREE).spec


@pytest.mark.parametrize("name", ["nearest_mean", "mean_of_neighbours"])
def test_a_fitted_plugin_is_pushed_only_with_leave_and_the_saved_line_names_it(
    name: str, example: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A regressor of another package was sent with all training vectors and labels in it."""
    data = antibodies(30, continuous=name == "mean_of_neighbours")
    model = Trainer(DescriptorSpec(descriptors=("net_charge", "length")), name, THREE).fit(
        data, uncertainty=False, scores=False
    )
    for each in (model, Panel({"label": model})):
        with pytest.raises(ValueError, match=f"{name} consists, or may consist, of vectors and labels"):
            each.push_to_hub("our-lab/model")
    model.save(tmp_path / "model", training=False)
    line = f"without its training antibodies; but the plugin {name} may hold vectors and labels of them"
    assert line in capsys.readouterr().out
