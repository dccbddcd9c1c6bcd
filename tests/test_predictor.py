import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from antibody_esm import Dataset, DatasetError, ExtractorSpec, Predictor, SequenceError, StoreError, Trainer, presets
from antibody_esm.model_files import FORMAT, manifest_digest

GENERATOR = np.random.default_rng(0)
SEQUENCES = ["".join(GENERATOR.choice(list("ACDEFGHIKLMNPQRSTVWY"), 12)) for _ in range(40)]
LABEL = [int("K" in sequence or "R" in sequence) for sequence in SEQUENCES]
DATA = Dataset(ids=[f"s{i}" for i in range(40)], heavy=SEQUENCES, label=LABEL)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def predictor(tiny: ExtractorSpec, store: Path) -> Predictor:
    return Trainer(tiny, "logreg", store=store).fit(DATA, scores=False, check=False)


@pytest.fixture
def saved(predictor: Predictor, tmp_path: Path) -> Path:
    return predictor.save(tmp_path / "model")


@pytest.mark.parametrize("classifier", presets.CLASSIFIERS)
def test_save_then_load_predicts_equally(tiny: ExtractorSpec, store: Path, tmp_path: Path, classifier: str) -> None:
    one = Trainer(tiny, classifier, store=store).fit(DATA, scores=False, check=False)
    other = Predictor.load(one.save(tmp_path / "model"), store=store)
    assert np.array_equal(one.predict_proba(DATA), other.predict_proba(DATA))
    assert np.array_equal(one.predict(SEQUENCES[:5]), other.predict(SEQUENCES[:5]))
    assert (other.spec, other.data, other.metrics) == (one.spec, one.data, one.metrics)


def test_probabilities_have_a_column_a_class_and_no_sequences_no_rows(predictor: Predictor) -> None:
    assert (predictor.predict([]).shape, predictor.predict_proba([]).shape) == ((0,), (0, 2))
    found = predictor.predict_proba(["EVQL", "qvql "])
    assert found.shape == (2, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (predictor.predict(["EVQL", "QVQL"]) == (found[:, 1] > 0.5)).all()
    assert hasattr(predictor, "predict_proba")
    assert "Return the probability" in (Predictor.predict_proba.__doc__ or "")


def test_bad_sequences_are_refused(predictor: Predictor) -> None:
    with pytest.raises(SequenceError):
        predictor.predict(["EVQL", "EV*L"])
    with pytest.raises(TypeError, match="got one string"):
        predictor.predict("EVQL")


def test_a_test_set_is_scored_with_one_value_a_metric_and_ids_are_kept(predictor: Predictor) -> None:
    report = predictor.evaluate(DATA)
    assert {name: values.shape for name, values in report.scores.items()} == dict.fromkeys(report.scores, (1,))
    assert list(report.predictions["id"]) == list(DATA.ids)
    assert "Test of" in str(report)
    with pytest.raises(AttributeError, match="has no folds"):
        report.out_of_fold  # noqa: B018
    with pytest.raises(DatasetError):
        predictor.evaluate(DATA.subset([i for i, one in enumerate(LABEL) if one]))


def test_the_manifest_says_what_was_trained_on_what_with_what(predictor: Predictor, saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["format"] == FORMAT
    assert manifest["spec"]["extractor"]["digest"] == predictor.spec.extractor.digest
    assert manifest["fingerprints"]["train"] == predictor.spec.fingerprint
    assert manifest["data"] == {
        "source": "given in Python",
        "digest": DATA.digest,
        "antibodies": 40,
        "positives": sum(LABEL),
        "chain": "heavy",
        "fragment": None,
    }
    assert {"antibody_esm", "scikit-learn", "skops", "torch", "transformers"} <= manifest["versions"].keys()
    assert sorted(path.name for path in saved.iterdir()) == [
        "README.md",
        "classifier.skops",
        "manifest.json",
        "training.npz",
    ]


def test_loading_and_predicting_from_the_store_needs_no_language_model(
    tiny: ExtractorSpec, store: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny.model, tmp_path / "checkpoint"))
    one = Trainer(ExtractorSpec(model=str(model)), store=store).fit(DATA, scores=False, check=False)
    one.save(tmp_path / "model")
    shutil.rmtree(model)
    other = Predictor.load(tmp_path / "model", store=store)
    assert np.array_equal(other.predict_proba(DATA), one.predict_proba(DATA))
    assert "_model" not in vars(other.extractor)


def test_another_language_model_in_the_same_place_is_refused(tmp_path: Path) -> None:
    from antibody_esm import CheckpointError
    from antibody_esm.testing import tiny_checkpoint

    folder = tiny_checkpoint("esm", tmp_path / "checkpoint", seed=21)  # files that are in no other folder
    Trainer(ExtractorSpec(model=str(folder))).fit(DATA, check=False, scores=False).save(tmp_path / "model")
    tiny_checkpoint("esm", folder, seed=22)
    with pytest.raises(CheckpointError, match="but the spec is pinned to"):
        Predictor.load(tmp_path / "model").predict(["EVQL"])


def _edit(path: Path, **changes: object) -> None:
    """Change a manifest, with a digest that fits, as whoever knows the format could."""
    manifest = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(manifest | {"sha256": manifest_digest(manifest)}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: _edit(folder / "manifest.json", format=FORMAT + 1), f"not a model of format 2 or {FORMAT}"),
        (lambda folder: _edit(folder / "manifest.json", spec={}), "not the manifest"),
        (lambda folder: _edit(folder / "manifest.json", fingerprints={"train": "0"}), "not the one it was saved with"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "not the manifest"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "not a model of format"),
        (lambda folder: (folder / "manifest.json").unlink(), "not a saved model: No such file"),
        (lambda folder: (folder / "classifier.skops").unlink(), "not a saved model: No such file"),
        (lambda folder: (folder / "classifier.skops").write_bytes(b"PK"), "not the classifier that its manifest"),
    ],
)
def test_a_model_that_was_changed_is_an_error(saved: Path, damage: object, message: str) -> None:
    damage(saved)  # type: ignore[operator]
    with pytest.raises(StoreError, match=message):
        Predictor.load(saved)


def test_an_edited_spec_is_noticed(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["spec"]["extractor"]["layer"] = 1
    _edit(saved / "manifest.json", **manifest)
    with pytest.raises(StoreError, match="not the one it was saved with"):
        Predictor.load(saved)


def test_a_classifier_that_could_run_code_is_refused_even_if_its_digest_fits(saved: Path, tmp_path: Path) -> None:
    evil = Pipeline([("f", FunctionTransformer(os.mkdir)), ("classify", LogisticRegression())])
    content = skops.io.dumps(evil)
    (saved / "classifier.skops").write_bytes(content)
    _edit(saved / "manifest.json", classifier_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(StoreError, match="holds types that are not trusted: .*mkdir"):
        Predictor.load(saved)


def test_a_pickle_in_place_of_the_classifier_is_refused_even_if_its_digest_fits(saved: Path, tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    content = pickle.dumps(Evil())
    (saved / "classifier.skops").write_bytes(content)
    _edit(saved / "manifest.json", classifier_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(StoreError, match="not a classifier"):
        Predictor.load(saved)
    assert not (tmp_path / "ran").exists()


def test_another_version_of_a_library_is_said(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    _edit(saved / "manifest.json", versions=manifest["versions"] | {"scikit-learn": "1.1.0"})
    with pytest.warns(UserWarning, match=r"saved with scikit-learn 1\.1\.0"):
        Predictor.load(saved)


def test_a_saved_model_predicts_the_same_in_another_process(predictor: Predictor, saved: Path, store: Path) -> None:
    program = (
        "from antibody_esm import Predictor\n"
        f"found = Predictor.load({str(saved)!r}, store={str(store)!r}).predict_proba({SEQUENCES!r})\n"
        "print(found[:, 1].tolist())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == predictor.predict_proba(SEQUENCES)[:, 1].tolist()
