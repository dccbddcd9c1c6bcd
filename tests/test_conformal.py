"""Conformal sets and intervals hold the truth as often as they say; probabilities have honest intervals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import (
    Dataset,
    DatasetError,
    DecisionSpec,
    DescriptorSpec,
    LogisticRegressionSpec,
    Predictor,
    SplitSpec,
    StoreError,
    Trainer,
    load_dataset,
)
from antibody_esm.evaluation.applicability import FAR, Applicability
from antibody_esm.evaluation.conformal import Uncertainty
from antibody_esm.evaluation.splits import Division
from antibody_esm.model_files import manifest_digest

GENERATOR = np.random.default_rng(4)
NUMBERED = DescriptorSpec(descriptors=("length", "net_charge", "composition"))
STANDARDISED = LogisticRegressionSpec(standardize=True)


def random_sequences(n: int, residues: str = "ACDEFGHIKLMNPQRSTVWY") -> list[str]:
    return ["".join(GENERATOR.choice(list(residues), 20)) for _ in range(n)]


def labelled(n: int) -> Dataset:
    sequences = random_sequences(n)
    charge = np.array([one.count("K") + one.count("R") - one.count("D") - one.count("E") for one in sequences])
    label = charge + 2 * GENERATOR.normal(size=n) > 0
    return Dataset([f"a{i}" for i in range(n)], sequences, label=label, fragment="H-CDRs")


DATA = labelled(160)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Trainer(NUMBERED, STANDARDISED).fit(DATA)


def test_nine_of_ten_conformal_sets_hold_the_class_on_real_antibodies_in_grouped_folds(published: Path) -> None:
    data = load_dataset("boughter")
    label, split = data.binary_labels(), SplitSpec(folds=5, by="identity")
    held = np.empty(len(data), bool)
    for train, test in Division.of(split, data).folds(label):
        table = Trainer(NUMBERED, STANDARDISED, split).fit(data.subset(train)).score_table(data.subset(test))
        held[test] = [str(one) in said for one, said in zip(label[test], table["conformal_set"], strict=True)]
    assert 0.87 <= held.mean() <= 0.93
    assert all(0.85 <= held[label == value].mean() <= 0.95 for value in (0, 1))


def test_conformal_sets_hold_each_class_as_often_as_asked_where_antibodies_are_exchangeable() -> None:
    shares = []
    for _ in range(60):
        label = GENERATOR.random(400) < 0.2  # one class is rare, and must not pay for the other
        score = np.clip(0.35 + 0.25 * label + 0.15 * GENERATOR.normal(size=400), 0, 1)
        known = Uncertainty(score[:200], label[:200].astype(float), "antibody", "classification")
        sets = known.sets(score[200:], 0.8)
        shares.append([sets[label[200:] == value, value].mean() for value in (0, 1)])
    assert np.all(np.abs(np.mean(shares, axis=0) - 0.8) < 0.03)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.5, 0.99), st.floats(0, 0.4))
def test_to_be_surer_is_to_rule_out_less(probability: list[float], confidence: float, less: float) -> None:
    known = Uncertainty(np.linspace(0, 1, 50), np.tile([0.0, 0, 1, 0, 1], 10), "antibody", "classification")
    large, small = (known.sets(np.array(probability), level) for level in (confidence, confidence - less))
    assert (large | ~small).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_calibrated_probability_lies_in_its_interval_and_rises_with_the_score(probability: list[float]) -> None:
    known = Uncertainty(np.linspace(0.1, 0.9, 60), np.tile([0.0, 0, 1, 0, 1, 1], 10), "antibody", "classification")
    found = known.calibrated(np.sort(probability))
    assert ((found >= 0) & (found <= 1)).all()
    low, merged, high = found.T
    assert ((low <= merged + 1e-12) & (merged <= high + 1e-12)).all()
    assert (np.diff(found, axis=0) >= -1e-12).all()


def test_the_interval_of_a_probability_is_that_of_both_isotonic_regressions() -> None:
    from sklearn.isotonic import IsotonicRegression

    score, label = GENERATOR.random(40), (GENERATOR.random(40) < 0.5).astype(float)
    known = Uncertainty(score, label, "antibody", "classification")
    for one in GENERATOR.random(10):
        ends = [
            IsotonicRegression().fit([*score, one], [*label, value]).predict([one])[0] for value in (0, 1)
        ]  # the definition
        np.testing.assert_allclose(known.calibrated(np.array([one]))[0, [0, 2]], ends, atol=1e-12)


def test_intervals_of_values_hold_them_as_often_as_asked() -> None:
    held = []
    for _ in range(60):
        value = GENERATOR.normal(size=300)
        known = Uncertainty(value[:150], value[:150] + GENERATOR.normal(size=150), "antibody", "regression")
        low, high = known.intervals(value[150:], 0.9).T
        truth = value[150:] + GENERATOR.normal(size=150)
        held.append(((low <= truth) & (truth <= high)).mean())
    assert abs(np.mean(held) - 0.9) < 0.02


def test_with_few_antibodies_an_interval_is_infinite_and_a_set_holds_both() -> None:
    few = Uncertainty(np.array([0.2, 0.4, 0.6]), np.array([0.0, 1, 1]), "antibody", "classification")
    assert few.sets(np.array([0.0, 0.5, 1.0])).all()
    assert np.isinf(few.intervals(np.array([0.3]))).all()


def test_scores_are_out_of_fold_and_clones_are_kept_together() -> None:
    # Labels are noise, and every antibody is there thrice: whoever tests on clones of the training is always sure.
    sequences = random_sequences(60)
    data = Dataset(
        [str(i) for i in range(180)], sequences * 3, label=np.tile(GENERATOR.random(60) < 0.5, 3), fragment="H-CDRs"
    )
    fitted = Trainer(NUMBERED, "knn").fit(data)
    assert isinstance(fitted.uncertainty, Uncertainty)
    right = (fitted.uncertainty.score > 0.5) == fitted.uncertainty.label
    assert right.mean() < 0.7
    assert (fitted.predict(data) == data.label).mean() > 0.9
    assert fitted.uncertainty.by == "identity"


def test_too_few_clusters_leave_the_model_without_and_it_says_why() -> None:
    one = random_sequences(1)[0]
    clones = Dataset([str(i) for i in range(12)], [one] * 6 + [one[:-1] + "A"] * 6, label=[0, 1] * 6, fragment="H-CDRs")
    fitted = Trainer(NUMBERED, STANDARDISED).fit(clones)
    assert "identity clusters" in str(fitted.uncertainty)
    table = fitted.score_table(clones)
    assert table[["calibrated", "calibrated_low", "calibrated_high"]].isna().all(axis=None)
    assert (table["conformal_set"] == "").all()
    assert np.array_equal(table["probability"], fitted.predict_proba(clones)[:, 1])


def test_a_table_says_all_and_a_saved_model_says_the_same(predictor: Predictor, tmp_path: Path) -> None:
    table = predictor.score_table(DATA, threshold=0.3)
    assert list(table["id"]) == list(DATA.ids)
    assert np.array_equal(table["probability"], predictor.predict_proba(DATA)[:, 1])
    assert np.array_equal(table["prediction"], predictor.predict(DATA, threshold=0.3))
    assert set(table["conformal_set"]) <= {"0", "1", "0 or 1", "neither"}
    predictor.save(tmp_path / "model")
    assert Predictor.load(tmp_path / "model").score_table(DATA, threshold=0.3).equals(table)


def test_a_model_can_be_given_away_without_its_antibodies(predictor: Predictor, tmp_path: Path) -> None:
    predictor.save(tmp_path / "model", training=False)
    content = b"".join(path.read_bytes() for path in (tmp_path / "model").iterdir())
    assert not any(one.encode("utf-32-le") in content or one.encode() in content for one in DATA.sequences)
    with np.load(tmp_path / "model" / "training.npz") as arrays:  # which is compressed
        assert sorted(arrays) == ["by", "label", "score", "task"]
        assert (np.diff(arrays["label"]) >= 0).all(), "the labels of antibodies, in their order, are not there"
        assert (np.diff(arrays["score"])[np.diff(arrays["label"]) == 0] >= 0).all()
    loaded = Predictor.load(tmp_path / "model")
    assert loaded.applicability is None
    one, other = loaded.score_table(DATA), predictor.score_table(DATA)
    assert one[["distance", "identity"]].isna().all(axis=None)
    columns = ["conformal_set", "probability", "calibrated", "calibrated_low", "calibrated_high"]
    assert one[columns].equals(other[columns])


def test_a_regressor_that_is_given_away_keeps_intervals_and_no_values(tmp_path: Path) -> None:
    data = replace(DATA, label=np.asarray(DATA.label) + GENERATOR.normal(size=len(DATA)))
    fitted = Trainer(NUMBERED, "ridge").fit(data)
    loaded = Predictor.load(fitted.save(tmp_path / "model", training=False))
    with np.load(tmp_path / "model" / "training.npz") as arrays:
        assert not np.isin(np.asarray(data.label), arrays["label"]).any()
        assert not arrays["score"].any()
    columns = ["prediction", "low", "high"]
    np.testing.assert_allclose(loaded.score_table(data)[columns], fitted.score_table(data)[columns])


def test_training_files_that_were_changed_are_refused(predictor: Predictor, tmp_path: Path) -> None:
    predictor.save(tmp_path / "model")
    (tmp_path / "model" / "training.npz").write_bytes(b"PK")
    with pytest.raises(StoreError, match="not the training antibodies that its manifest describes"):
        Predictor.load(tmp_path / "model")


def test_training_files_hold_no_objects(predictor: Predictor, tmp_path: Path) -> None:
    import hashlib
    import io
    import json

    predictor.save(tmp_path / "model")
    content = io.BytesIO()
    np.savez(content, score=np.array([object()], object))
    (tmp_path / "model" / "training.npz").write_bytes(content.getvalue())
    manifest = tmp_path / "model" / "manifest.json"
    changed = json.loads(manifest.read_text()) | {"training_sha256": hashlib.sha256(content.getvalue()).hexdigest()}
    manifest.write_text(json.dumps(changed | {"sha256": manifest_digest(changed)}))
    with pytest.raises(StoreError, match="not the training antibodies of a saved model"):
        Predictor.load(tmp_path / "model")


def test_strangers_are_flagged_and_relatives_are_not(predictor: Predictor) -> None:
    strange = predictor.score_table(random_sequences(20, "WC"))
    assert (strange["distance"] > FAR).all()
    assert (strange["identity"] < 0.5).all()
    assert strange["warning"].str.contains("farther from the training antibodies").all()
    others = predictor.score_table(random_sequences(200))
    assert (others["distance"] > FAR).mean() < 0.25
    known = predictor.score_table(DATA)
    assert (known["identity"] == 1).all()
    assert (known["warning"] == "is a training antibody").all()
    assert predictor.score_table(["XX" + DATA.sequences[0][2:]])["warning"][0] == "2 unknown residues"


def test_distance_is_the_share_of_training_antibodies_that_are_nearer_to_their_neighbours() -> None:
    features = np.array([[0.0], [1], [2], [3], [10]])
    known = Applicability.of(random_sequences(5), features)
    # To the four others, the mean distance is 4, 3.25, 3, 3.25 and 8.5; of the last one below, 3.5.
    assert known.distance(np.array([[2.0], [100.0], [5.0]])).tolist() == [0.0, 1.0, 0.6]


def test_of_many_training_antibodies_all_sequences_and_a_sample_of_vectors_are_kept() -> None:
    sequences = [f"{'W' * (i % 70 + 1)}{'C' * (i // 70 + 1)}" for i in range(5_600)]
    features = np.arange(5_600.0)[:, None]
    one, other = Applicability.of(sequences, features), Applicability.of(sequences, features)
    assert one.sequences == other.sequences == tuple(sequences)
    assert one.features.shape == (5_000, 1)
    assert np.array_equal(one.features, other.features)
    assert len(np.unique(one.features)) == 5_000


@pytest.mark.parametrize("by", ["group", "family"])
def test_groups_that_a_split_keeps_together_are_kept_together_here_too(by: str) -> None:
    grouped = replace(DATA, groups=[f"g{i % 8}" for i in range(160)])
    fitted = Trainer(NUMBERED, STANDARDISED, SplitSpec(by=by)).fit(grouped)
    assert isinstance(fitted.uncertainty, Uncertainty)
    assert fitted.uncertainty.by == by


def test_a_calibrated_classifier_knows_how_sure_it_is_as_well() -> None:
    trainer = Trainer(NUMBERED, STANDARDISED, decision=DecisionSpec(calibration="sigmoid"))
    assert isinstance(trainer.fit(DATA).uncertainty, Uncertainty)


def test_other_chains_and_fragments_than_those_of_the_training_are_refused(predictor: Predictor) -> None:
    loops = replace(DATA, fragment="H-CDR3")
    light = Dataset(DATA.ids, light=DATA.heavy, chain="light", label=DATA.label, fragment="L-CDRs")
    for wrong in (loops, light):
        for ask in (predictor.predict, predictor.predict_proba, predictor.score_table, predictor.evaluate):
            with pytest.raises(DatasetError, match="the model reads heavy H-CDRs sequences; this data set holds"):
                ask(wrong)
    with pytest.raises(DatasetError, match="no heavy variable domain"):
        predictor.predict(replace(DATA, fragment="VH", heavy=["EVQLV"] * len(DATA)))


@pytest.mark.parametrize("confidence", [0, 1, -0.1, 1.5])
def test_a_confidence_is_above_0_and_below_1(predictor: Predictor, confidence: float) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1"):
        predictor.score_table(DATA, confidence=confidence)
