"""Several language models as one spec, as the five checkpoints of ESM-1v."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from antibody_esm import (
    ChainSpec,
    CheckpointError,
    Dataset,
    DescriptorSpec,
    EmbeddingStore,
    Ensemble,
    EnsembleSpec,
    Extractor,
    ExtractorSpec,
    Predictor,
    SplitSpec,
    Trainer,
    TrainSpec,
    embed,
    presets,
)
from antibody_esm.descriptors import describe
from antibody_esm.plm.model import Model
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT, NANOBODY


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> EnsembleSpec:
    root = tmp_path_factory.mktemp("esm1v")
    folders = [tiny_checkpoint("esm1v", root / str(seed), seed=seed) for seed in range(1, 6)]
    return EnsembleSpec(members=tuple(ExtractorSpec(model=str(folder)) for folder in folders))


@pytest.fixture(scope="module")
def apart(five: EnsembleSpec) -> list[np.ndarray]:
    """What each of the five gives alone."""
    return [Extractor(member).embed(SEQUENCES) for member in five.members]


SEQUENCES = [HEAVY, LIGHT, NANOBODY, HEAVY]


def test_the_mean_of_five_checkpoints_is_the_mean_of_their_vectors(five: EnsembleSpec, apart: list[np.ndarray]) -> None:
    rows = embed(SEQUENCES, five)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, np.mean(np.array(apart, np.float64), axis=0), atol=1e-6)
    assert not np.allclose(apart[0], apart[1], atol=1e-2), "they are five models"
    assert np.array_equal(Ensemble(five).embed(SEQUENCES), rows)
    assert np.array_equal(embed(SEQUENCES[1:2], five)[0], rows[1])


def test_side_by_side_is_in_the_order_of_the_members(five: EnsembleSpec, apart: list[np.ndarray]) -> None:
    beside = five.model_copy(update={"combine": "concat"})
    assert np.array_equal(embed(SEQUENCES, beside), np.hstack(apart))
    pairs = embed([(HEAVY, LIGHT)], beside)
    assert np.array_equal(pairs, np.hstack([np.hstack([rows[:1], rows[1:2]]) for rows in apart]))


def test_each_member_is_stored_under_its_own_spec_and_shared_with_it(five: EnsembleSpec, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    embed(SEQUENCES, five.members[2], store)
    ensemble = Ensemble(five)
    rows = embed(SEQUENCES, ensemble, store)
    assert ensemble.computed == 4 * 3, "the third was there"
    assert ensemble.needed(SEQUENCES) == 5 * 3
    assert len(store.stats().specs) == 5
    assert np.array_equal(embed(SEQUENCES, five, store), rows)


def test_one_model_is_in_memory_at_a_time(five: EnsembleSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = Ensemble(five)
    loaded: list[int] = []
    whole = Model.run

    def counted(self: Model, *given: object) -> object:
        loaded.append(sum("models" in member.__dict__ for member in ensemble.members))
        return whole(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Model, "run", counted)
    embed(SEQUENCES, ensemble)
    assert set(loaded) == {1}


def test_a_mean_of_unlike_models_is_refused(five: EnsembleSpec, tmp_path: Path) -> None:
    other = ExtractorSpec(model=str(tiny_checkpoint("esm1v", tmp_path, dim=16)))
    with pytest.raises(CheckpointError, match="requires vectors of one length"):
        embed(SEQUENCES, EnsembleSpec(members=(five.members[0], other)))
    assert embed(SEQUENCES, EnsembleSpec(members=(five.members[0], other), combine="concat")).shape == (4, 48)


@pytest.mark.parametrize("chained", [False, True])
def test_copies_of_a_model_under_another_name_are_not_two_members(
    five: EnsembleSpec, tmp_path: Path, chained: bool
) -> None:
    first, second = (member for member in five.members[:2] if isinstance(member, ExtractorSpec))
    copy = ExtractorSpec(model=str(shutil.copytree(first.model, tmp_path / "renamed")))
    specs = (ChainSpec(heavy=first, light=second), ChainSpec(heavy=copy, light=second)) if chained else (first, copy)
    with pytest.raises(CheckpointError, match="two members of the ensemble are the same model.*renamed") as error:
        embed([(HEAVY, LIGHT)], EnsembleSpec(members=specs, combine="concat"), tmp_path / "store")
    assert {copy.model, first.model} <= set(error.value.folders)
    assert not list((tmp_path / "store").glob("*")), "nothing was computed"
    other = ChainSpec(heavy=second, light=copy) if chained else copy.model_copy(update={"layer": 0})
    assert embed([(HEAVY, LIGHT)], EnsembleSpec(members=(specs[0], other), combine="concat")).shape[0] == 1


def test_an_ensemble_is_trained_saved_and_loaded_pinned_to_the_bytes_of_each(
    five: EnsembleSpec, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    sequences = ["".join(generator.choice(list("ACDEFGHIK"), 12)) for _ in range(20)]
    data = Dataset(ids=[str(i) for i in range(20)], heavy=sequences, label=[0, 1] * 10)
    trainer = Trainer(five, split=SplitSpec(folds=2), store=tmp_path / "store")
    assert "mean of" in str(trainer.cross_validate(data, check=False))
    predictor = trainer.fit(data, check=False)
    folder = predictor.save(tmp_path / "model")
    loaded = Predictor.load(folder, store=tmp_path / "store")
    assert isinstance(loaded.spec.extractor, EnsembleSpec)
    assert all(member.digest for member in loaded.spec.extractor.members)
    assert loaded.spec.extractor == five.pin()
    assert np.array_equal(loaded.predict_proba(sequences), predictor.predict_proba(sequences))


def test_the_mean_of_the_five_is_a_preset() -> None:
    spec = presets.EXTRACTORS["esm1v_mean"]
    assert isinstance(spec, EnsembleSpec)
    assert spec.members == tuple(presets.EXTRACTORS[f"esm1v_{seed}"] for seed in range(1, 6))
    assert spec.combine == "mean"
    assert TrainSpec.compose(["model=esm1v_mean"]).extractor == spec
    with pytest.raises(ValueError, match="one language model is required"):
        Extractor("esm1v_mean")
    with pytest.raises(ValueError, match="is not an ensemble"):
        Ensemble("esm1v_1")


def test_descriptors_stand_alone_and_beside_a_language_model(
    five: EnsembleSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = DescriptorSpec(descriptors=("length", "net_charge", "composition"))
    expected = describe(SEQUENCES, alone)
    rows = embed(SEQUENCES, alone)
    np.testing.assert_allclose(rows, expected.values, rtol=1e-6)
    assert rows.shape == (4, 22)
    assert embed([], alone).shape == (0, 22)
    assert np.array_equal(embed([(HEAVY, LIGHT)], alone)[0], np.hstack([rows[0], rows[1]]))
    beside = EnsembleSpec(members=(five.members[0], alone), combine="concat")
    vectors = Extractor(five.members[0]).embed(SEQUENCES)
    assert np.array_equal(embed(SEQUENCES, beside, tmp_path / "store"), np.hstack([vectors, rows]))
    assert len(EmbeddingStore(tmp_path / "store").stats().specs) == 1
    with pytest.raises(ValidationError, match="does not allow descriptors"):
        EnsembleSpec(members=(five.members[0], alone))

    generator = np.random.default_rng(0)
    sequences = ["".join(generator.choice(list("ACDEFGHIK"), 12)) for _ in range(20)]
    data = Dataset(ids=[str(i) for i in range(20)], heavy=sequences, label=[0, 1] * 10)
    for spec in (alone, beside):
        trainer = Trainer(spec, split=SplitSpec(folds=2), store=tmp_path / "store")
        assert "descriptors" in str(trainer.cross_validate(data, check=False))
        predictor = trainer.fit(data, check=False)
        loaded = Predictor.load(predictor.save(tmp_path / "model"), store=tmp_path / "store")
        assert np.array_equal(loaded.predict_proba(sequences), predictor.predict_proba(sequences))
    assert TrainSpec.compose(["model=descriptors"]).extractor == DescriptorSpec()


def test_three_loops_side_by_side_take_one_pass_of_the_model(five: EnsembleSpec, tmp_path: Path) -> None:
    model = five.members[0]
    assert isinstance(model, ExtractorSpec)
    loops = model.views(regions=["cdr1", "cdr2", "cdr3"])
    three = EnsembleSpec(members=(loops[0], DescriptorSpec(), *loops[1:]), combine="concat")
    source = Ensemble(three)
    rows = embed([HEAVY, NANOBODY], source, tmp_path)
    assert source.computed == 2, "not one pass a loop"
    alone = [embed([HEAVY, NANOBODY], member) for member in three.members]
    assert np.array_equal(rows, np.hstack(alone))
    assert len(EmbeddingStore(tmp_path).stats().specs) == 3
    again = Ensemble(three)
    assert np.array_equal(embed([HEAVY, NANOBODY], again, tmp_path), rows)
    assert again.computed == 0
    pairs = embed([(HEAVY, LIGHT)], EnsembleSpec(members=tuple(loops), combine="concat"), tmp_path)
    heavy, light = (np.hstack([embed([chain], loop)[0] for loop in loops]) for chain in (HEAVY, LIGHT))
    dim = len(heavy) // 3
    expected = [part for i in range(3) for part in (heavy, light) for part in [part[i * dim : (i + 1) * dim]]]
    np.testing.assert_allclose(pairs[0], np.hstack(expected), rtol=1e-5, atol=1e-6)
