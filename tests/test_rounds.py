"""Rounds: a plate is predicted before it is learned from, no label is lost, and the next model is that of all data."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from antibody_esm import (
    Dataset,
    DatasetError,
    DescriptorSpec,
    LogisticRegressionSpec,
    Predictor,
    RidgeSpec,
    SplitSpec,
    StoreError,
    Trainer,
)
from antibody_esm.rounds import FILE, read_log, retrain, write_log
from chains import HEAVY, LIGHT, mutants

DESCRIPTORS = DescriptorSpec(descriptors=("length", "net_charge", "composition"))
STANDARDIZED = LogisticRegressionSpec(standardize=True)
HEAVIES, LIGHTS = mutants(HEAVY, 100, 12), mutants(LIGHT, 100, 12, seed=1)
CHARGE = np.array([text.count("K") + text.count("R") - text.count("D") - text.count("E") for text in HEAVIES])
CLASSES = (np.median(CHARGE) < CHARGE).astype(int)


def part(first: int, last: int, **options: object) -> Dataset:
    rows = slice(first, last)
    fields: dict[str, object] = {"label": CLASSES[rows], **options}
    return Dataset([f"a{i}" for i in range(first, last)], HEAVIES[rows], LIGHTS[rows], **fields)  # type: ignore[arg-type]


def frame(first: int, last: int) -> pd.DataFrame:
    rows = slice(first, last)
    return pd.DataFrame(
        {"id": range(first, last), "heavy": HEAVIES[rows], "light": LIGHTS[rows], "label": CLASSES[rows]}
    )


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Trainer(DESCRIPTORS, STANDARDIZED).fit(part(0, 60))


@pytest.mark.parametrize("chain", ["heavy", "light", "paired"])
def test_the_next_model_is_that_of_all_antibodies(chain: str, tmp_path: Path) -> None:
    trainer = Trainer(DESCRIPTORS, STANDARDIZED)
    trainer.fit(part(0, 60, chain=chain)).save(tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model")
    frame(60, 80).to_csv(tmp_path / "plate.csv", index=False)
    again, rounds = retrain(loaded, [tmp_path / "plate.csv", frame(80, 100)])
    whole = trainer.fit(part(0, 100, chain=chain))
    probes = part(0, 100, chain=chain)
    np.testing.assert_allclose(again.predict_proba(probes), whole.predict_proba(probes), atol=1e-6)
    assert again.training is not None
    assert len(again.training) == 100
    assert [each.antibodies for each in rounds] == [20, 20]
    assert rounds[0].source == "plate.csv"


def test_a_plate_is_scored_by_the_model_that_has_not_seen_it(predictor: Predictor) -> None:
    from sklearn.metrics import roc_auc_score

    _, (first, second) = retrain(predictor, [part(60, 80), part(80, 100)])
    expected = roc_auc_score(CLASSES[60:80], predictor.predict_proba(part(60, 80))[:, 1])
    assert first.score == pytest.approx(expected)
    between = Trainer(DESCRIPTORS, STANDARDIZED).fit(part(0, 80))
    expected = roc_auc_score(CLASSES[80:], between.predict_proba(part(80, 100))[:, 1])
    assert second.score == pytest.approx(expected, abs=1e-9)
    assert first.wanted == int((CLASSES[60:80] == 0).sum())


def test_labels_of_a_plate_change_nothing_of_its_score(predictor: Predictor) -> None:
    """Poisoned labels of a plate change its own score by the truth alone: the model before does not see them."""
    plain = retrain(predictor, [part(60, 80)]).rounds[0]
    turned = retrain(predictor, [part(60, 80, label=1 - CLASSES[60:80])]).rounds[0]
    assert plain.score is not None
    assert turned.score == pytest.approx(1 - plain.score)


def test_an_antibody_that_is_measured_again_has_its_newest_label(predictor: Predictor) -> None:
    again, (round_,) = retrain(predictor, [part(50, 70, label=1 - CLASSES[50:70])])
    assert round_.measured_again == 10
    assert again.training is not None
    assert len(again.training) == 70
    label = dict(zip(again.training.sequences, np.asarray(again.training.label), strict=True))
    assert [label[text] for text in HEAVIES[50:60]] == (1 - CLASSES[50:60]).tolist()


def test_numbers_loops_and_columns_go_through_a_round(tmp_path: Path) -> None:
    loops = part(0, 60, label=CHARGE[:60] + 0.5, label_name="HIC", columns={"ph": [6 + i % 3 for i in range(60)]})
    model = Trainer(DESCRIPTORS, RidgeSpec(alpha=1.0)).fit(loops.cut("H-CDRs"))
    model.save(tmp_path / "model")
    plate = frame(60, 80).drop(columns="label").assign(HIC=CHARGE[60:80] + 0.5, ph=7)
    again, (round_,) = retrain(Predictor.load(tmp_path / "model"), [plate])
    assert round_.metric == "spearman"
    assert round_.score is not None
    assert round_.score > 0.3
    assert again.reading.fragment == "H-CDRs"
    assert again.data.higher_is_better is False  # of HIC
    assert len(again.predict(plate.assign(ph=6))) == 20


def test_groups_that_a_saved_model_does_not_hold_become_clusters(tmp_path: Path) -> None:
    data = part(0, 60, groups=[str(i % 6) for i in range(60)])
    Trainer(DESCRIPTORS, STANDARDIZED, SplitSpec(folds=3, by="group")).fit(data).save(tmp_path / "model")
    again, _ = retrain(Predictor.load(tmp_path / "model"), [part(60, 80)])
    assert again.spec.split.by == "identity"


def test_models_without_labels_of_their_own_are_refused(predictor: Predictor, tmp_path: Path) -> None:
    predictor.save(tmp_path / "model", training=False)
    with pytest.raises(DatasetError, match="without its training antibodies"):
        retrain(Predictor.load(tmp_path / "model"), [part(60, 80)])
    with pytest.raises(DatasetError, match="recalibrated"):
        retrain(predictor.recalibrate(part(60, 80)), [part(80, 100)])
    with pytest.raises(DatasetError, match="no labels|label"):
        retrain(predictor, [part(60, 80, label=None)])
    with pytest.raises(DatasetError, match="elisa"):
        retrain(predictor, [frame(60, 80)], label="elisa")


def test_the_log_beside_a_model_keeps_the_first_look_at_each_plate(predictor: Predictor, tmp_path: Path) -> None:
    rounds = retrain(predictor, [part(60, 80), part(80, 100)]).rounds
    assert read_log(tmp_path) == ()
    write_log(tmp_path, rounds[:1])
    later = replace(rounds[0], score=0.99)  # of a model that was fitted again
    assert write_log(tmp_path, (later, rounds[1])) == rounds
    assert read_log(tmp_path) == rounds
    assert str(rounds[0]).startswith("given in Python: 20 antibodies, ")


@pytest.mark.parametrize(
    "line", ["[]", "{", '{"source": "x"}', json.dumps(dict.fromkeys(("source", "data", "antibodies"), 1)), "[" * 10_000]
)
def test_a_log_that_is_none_is_an_error(tmp_path: Path, line: str) -> None:
    (tmp_path / FILE).write_text(line + "\n")
    with pytest.raises(StoreError, match="line 1 is not a round"):
        read_log(tmp_path)
