"""What leaves the house with a model, a report and a cache; see docs/security.md."""

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from antibody_esm import Dataset, DescriptorSpec, Predictor, Trainer
from antibody_esm.numbering import number
from antibody_esm.presets import CLASSIFIERS, REGRESSORS
from chains import HEAVY, mutants

VH = mutants(HEAVY, 40, 40)
DATA = Dataset([f"secret-{i}" for i in range(40)], VH, label=[(each.count("K") + each.count("R")) % 2 for each in VH])
DESCRIPTORS = DescriptorSpec(descriptors=("length", "net_charge", "hydrophobicity"))


def contents(folder: Path) -> Iterator[bytes]:
    """The bytes of every file of a folder, those that are packed unpacked, and text of any width as ASCII."""
    for path in filter(Path.is_file, folder.rglob("*")):
        yield path.read_bytes().replace(b"\0", b"")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                yield from (packed.read(name).replace(b"\0", b"") for name in packed.namelist())


def holds(folder: Path, texts: list[str]) -> bool:
    return any(text.encode() in content for content in contents(folder) for text in texts)


def pieces(length: int = 12) -> list[str]:
    return sorted({each[i : i + length] for each in VH for i in range(0, len(each) - length, length)})


def test_a_saved_model_holds_the_training_sequences_unless_it_is_saved_without(tmp_path: Path) -> None:
    predictor = Trainer(DESCRIPTORS, "logreg").fit(DATA)
    whole = predictor.save(tmp_path / "whole")
    assert holds(whole, VH[:1])
    assert not holds(whole, DATA.ids)
    given = Predictor.load(whole).save(tmp_path / "given", training=False)
    assert not holds(given, [*DATA.ids, *pieces()])
    np.testing.assert_array_equal(Predictor.load(given).predict_proba(VH), predictor.predict_proba(VH))
    table = Predictor.load(given).score_table(VH[:3])
    assert table[["distance", "identity"]].isna().all(axis=None)


@pytest.mark.parametrize("classifier", [*CLASSIFIERS, *REGRESSORS])
def test_some_classifiers_hold_training_vectors_also_without(classifier: str, tmp_path: Path) -> None:
    """A matrix of many rows, as wide as a vector, holds vectors of training antibodies."""
    values = [float(each.count("K") + 0.1 * i) for i, each in enumerate(VH)]
    data = DATA if classifier in CLASSIFIERS else Dataset(DATA.ids, VH, label=values)
    folder = (
        Trainer(DESCRIPTORS, classifier)
        .fit(data, uncertainty=False, scores=False)
        .save(tmp_path / "model", training=False)
    )
    with zipfile.ZipFile(folder / "classifier.skops") as packed:
        arrays = [np.load(packed.open(name)) for name in packed.namelist() if name.endswith(".npy")]
    vectors = any(array.ndim == 2 and len(array) > 10 and array.shape[1] == 3 for array in arrays)
    assert vectors == (classifier in ("knn", "gaussian_process", "gaussian_process_regressor", "svr"))


def test_a_report_holds_no_sequence(tmp_path: Path) -> None:
    report = Trainer(DESCRIPTORS, "logreg").cross_validate(DATA)
    report.to_html(tmp_path / "report.html")
    report.to_json(tmp_path / "report.json")
    report.to_csv(tmp_path / "predictions.csv")
    assert len(list(tmp_path.iterdir())) == 3
    assert not holds(tmp_path, pieces())
    assert "secret-0" in (tmp_path / "predictions.csv").read_text()


def test_the_numbering_cache_is_private_and_may_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    domains = number([HEAVY])
    (folder,) = tmp_path.glob("**/numbering")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert holds(folder, [HEAVY[20:40]])
    (folder / "domains.sqlite").unlink()
    assert number([HEAVY]) == domains
