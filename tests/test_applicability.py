"""Training antibodies are recognised however many there are, and the identity to the nearest one is right or absent."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from antibody_esm import Dataset, DecisionSpec, DescriptorSpec, Predictor, SplitSpec, Trainer
from antibody_esm.data.identity import nearest
from antibody_esm.evaluation import applicability, conformal
from antibody_esm.evaluation.applicability import Applicability
from antibody_esm.evaluation.conformal import Uncertainty
from chains import HEAVY, LIGHT, mutants
from reporting import CHARGES, LOGREG, antibodies

RESIDUES = np.array(list("ADEFGKLRSTVY"))


def random_sequences(n: int, length: int, seed: int) -> list[str]:
    return ["".join(row) for row in np.random.default_rng(seed).choice(RESIDUES, (n, length))]


MANY = random_sequences(5_200, 12, 0)


@pytest.fixture(scope="module")
def many() -> Predictor:
    data = Dataset([str(i) for i in range(5_200)], MANY, label=np.arange(5_200) % 2, fragment="H-CDRs")
    return Trainer(DescriptorSpec(descriptors=("net_charge",)), LOGREG).fit(data, uncertainty=False)


@pytest.mark.parametrize("loaded", [False, True])
def test_of_5200_training_antibodies_every_one_is_recognised(loaded: bool, many: Predictor, tmp_path: Path) -> None:
    predictor = Predictor.load(many.save(tmp_path / "model")) if loaded else many
    others = random_sequences(40, 12, 1)
    table = predictor.score_table([*MANY[:5_200:20], *others])
    assert (table["identity"][:260] == 1).all()
    assert table["warning"][:260].str.startswith("is a training antibody").all()
    assert table["identity"][260:].tolist() == nearest(others, MANY).identity.tolist()
    tested = Dataset([str(i) for i in range(300)], [*MANY[:260], *others], label=[0, 1] * 150, fragment="H-CDRs")
    assert predictor.evaluate(tested).remarks[0].startswith("260 of 300 test antibodies are training antibodies")


def test_among_very_many_an_identity_is_right_or_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    training = random_sequences(200, 40, 2)
    kept = Applicability.of(training, np.zeros((200, 1)))
    asked = [*training[:5], *mutants(training[7], 20, 4, seed=3), *random_sequences(5, 40, 4)]
    right = nearest(asked, training).identity
    assert np.array_equal(kept.identity(asked), right)
    monkeypatch.setattr(applicability, "_COMPARED", 100)
    np.testing.assert_array_equal(kept.identity(asked), np.where(right >= 0.9, right, np.nan))
    assert {0.9 <= value < 1 for value in right} == {True, False}


def earlier(folder: Path, sequences: list[str], features: np.ndarray, antibodies: int) -> Path:
    """Write what an earlier version kept of training antibodies: a sample of 5,000, without labels."""
    manifest = json.loads((folder / "manifest.json").read_text())
    content = io.BytesIO()
    np.savez_compressed(content, unknown=np.array("none"), sequences=np.array(sequences), features=features)
    (folder / "training.npz").write_bytes(content.getvalue())
    manifest["training_sha256"] = hashlib.sha256(content.getvalue()).hexdigest()
    manifest["data"]["antibodies"] = antibodies
    for later in ("reading", "sha256"):
        del manifest[later]
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 2}))
    return folder


@pytest.mark.filterwarnings("ignore:.*the model was saved in format 2:UserWarning")
def test_a_model_of_before_with_a_sample_of_its_antibodies_has_no_identity_but_that_of_1(
    many: Predictor, tmp_path: Path
) -> None:
    folder = earlier(many.save(tmp_path / "model"), MANY[:5_000], np.zeros((5_000, 1), np.float32), 5_200)
    loaded = Predictor.load(folder)
    table = loaded.score_table([MANY[0], MANY[5_100], "ADEFGKLRSTVY"])
    assert table["identity"].tolist()[0] == 1
    assert table["identity"][1:].isna().all()
    why = "saved by an earlier version, with only 5,000 of its 5,200 training antibodies"
    assert table["warning"].str.endswith(f"identity unknown: {why}").tolist() == [False, True, True]
    report = loaded.evaluate(Dataset([str(i) for i in range(40)], MANY[:40], label=[0, 1] * 20, fragment="H-CDRs"))
    assert report.overlap is None
    assert f"are unknown: {why}." in report.remarks[0]
    assert f"Without any baseline: {why}." in " ".join(str(report).split())
    again = Predictor.load(loaded.save(tmp_path / "again"))
    assert again.unknown == why
    assert again.score_table([MANY[5_100]])["identity"].isna().all()


@pytest.mark.filterwarnings("ignore:.*the model was saved in format 2:UserWarning")
def test_a_model_of_before_with_all_of_its_antibodies_has_identity_and_overlap_and_no_baselines(tmp_path: Path) -> None:
    data = antibodies()
    fitted = Trainer(CHARGES, LOGREG).fit(data)
    features = np.zeros((60, 2), np.float32)
    loaded = Predictor.load(earlier(fitted.save(tmp_path / "model"), list(data.heavy), features, 60))
    report = loaded.evaluate(data)
    assert report.remarks[0] == "60 of 60 test antibodies are training antibodies: scores are optimistic."
    assert (report.identity == 1).all()
    why = "saved by an earlier version, without the labels of its training antibodies"
    assert f"Without any baseline: {why}." in " ".join(str(report).split())
    assert (loaded.score_table(data)["warning"] == "is a training antibody").all()
    again = Predictor.load(loaded.save(tmp_path / "again"))
    assert again.unknown == why
    assert again.evaluate(data).overlap == report.overlap


@pytest.mark.parametrize("chain", ["light", "both", "paired"])
def test_a_loaded_model_of_any_chain_has_its_training_antibodies_as_it_reads_them(chain: str, tmp_path: Path) -> None:
    heavy, light = mutants(HEAVY, 40, 6), mutants(LIGHT, 40, 6)
    data = Dataset([f"a{i}" for i in range(40)], heavy, light, label=[0, 1] * 20, chain=chain, groups=["g"] * 40)
    fitted = Trainer(CHARGES, LOGREG).fit(data)
    loaded = Predictor.load(fitted.save(tmp_path / "model"))
    assert loaded.training is not None
    assert loaded.training.sequences == data.sequences
    assert loaded.training.digest == data.digest
    assert np.array_equal(loaded.training.binary_labels(), data.binary_labels())
    assert loaded.training.groups is None
    assert (loaded.training.heavy is None) == (chain == "light")
    assert loaded.applicability is not None
    assert loaded.applicability.sequences == fitted.applicability.sequences
    assert loaded.evaluate(data).overlap == (40, 40, 0)
    loaded.save(tmp_path / "again")
    one, other = ((tmp_path / name / "training.npz").read_bytes() for name in ("model", "again"))
    assert one == other


def test_save_prints_whether_the_training_antibodies_are_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted = Trainer(CHARGES, LOGREG).fit(antibodies())
    folder = fitted.save(tmp_path / "model")
    assert capsys.readouterr().out == (
        f"Saved to {folder}, with its 60 training antibodies (sequences, labels, vectors).\n"
    )
    fitted.save(folder, training=False)
    assert capsys.readouterr().out == f"Saved to {folder}, without its training antibodies.\n"
    Predictor.load(folder).save(folder)
    assert capsys.readouterr().out == f"Saved to {folder}, without its training antibodies.\n"
    Trainer(CHARGES, "knn").fit(antibodies(), scores=False).save(folder, training=False)
    assert "without its training antibodies; but knn itself consists of vectors and labels" in capsys.readouterr().out


@pytest.mark.parametrize("limit", [20_000, 5_000])
def test_a_model_that_calibrates_by_identity_is_fitted_to_more_than_5000_antibodies(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trained, and then failed: folds without clusters were given to a classifier that needs them."""
    monkeypatch.setattr(conformal, "_MANY", limit)
    data = Dataset([str(i) for i in range(5_200)], MANY, label=np.arange(5_200) % 2, fragment="H-CDRs")
    decision = DecisionSpec(calibration="sigmoid", threshold="balanced_accuracy", folds=2)
    charge = DescriptorSpec(descriptors=("net_charge",))
    fitted = Trainer(charge, LOGREG, SplitSpec(by="identity", folds=2), decision=decision).fit(data)
    assert isinstance(fitted.uncertainty, Uncertainty)
    assert fitted.uncertainty.by == "identity"
