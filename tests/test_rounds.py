"""Rounds: a plate is predicted before it is learned from, no label is lost, and the next model is that of all data."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from antibody_esm import (
    Dataset,
    DatasetError,
    DecisionSpec,
    DescriptorSpec,
    LogisticRegressionSpec,
    Predictor,
    RidgeSpec,
    SplitSpec,
    StoreError,
    Trainer,
    propose,
)
from antibody_esm.data.provenance import Provenance
from antibody_esm.rounds import FILE, ORDER_SHEET, Round, read_log, retrain, with_log, write_log
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
    trainer.fit(part(0, 60, chain=chain), scores=False).save(tmp_path / "model")
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
    Trainer(DESCRIPTORS, STANDARDIZED, SplitSpec(folds=3, by="group")).fit(data, scores=False).save(tmp_path / "model")
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


def test_a_plate_is_learned_once_and_has_one_digest_under_any_name(predictor: Predictor, tmp_path: Path) -> None:
    plate = frame(60, 80)
    plate.to_csv(tmp_path / "plate.csv", index=False)
    renamed = plate.assign(id=[f"well{i}" for i in range(20)]).iloc[::-1]
    renamed.to_csv(tmp_path / "copy.csv", index=False)
    names = [tmp_path / "plate.csv", tmp_path / "copy.csv"]
    first, second = (retrain(predictor, [name]).rounds[0] for name in names)
    assert first.data == second.data
    assert first.data != retrain(predictor, [plate.assign(label=1 - plate["label"])]).rounds[0].data
    with pytest.raises(DatasetError, match="copy.csv is the same plate as plate.csv"):
        retrain(predictor, names)
    assert with_log(tmp_path, (first, replace(second, score=0.99))) == (first,)


def test_only_new_antibodies_of_a_plate_are_scored(predictor: Predictor) -> None:
    """Control wells are training antibodies, whose scores are in-sample."""
    clean = retrain(predictor, [part(60, 80)]).rounds[0]
    controls = retrain(predictor, [part(40, 80, label=1 - CLASSES[40:80])]).rounds[0]
    assert (controls.antibodies, controls.scored, controls.measured_again) == (40, 20, 20)
    assert clean.score is not None
    assert controls.score == pytest.approx(1 - clean.score)
    assert f"ROC AUC before they were known: {controls.score:.2f} (of 20 new)" in str(controls)
    again = retrain(predictor, [part(40, 60)]).rounds[0]
    assert (again.scored, again.score) == (0, None)
    assert "not defined (of 0 new)" in str(again)


def test_the_wanted_class_is_that_of_the_direction(predictor: Predictor) -> None:
    ones = int(CLASSES[60:80].sum())
    assert retrain(predictor, [part(60, 80)]).rounds[0].wanted == 20 - ones
    assert retrain(predictor, [part(60, 80)], higher_is_better=False).rounds[0].wanted == 20 - ones
    assert retrain(predictor, [part(60, 80)], higher_is_better=True).rounds[0].wanted == ones


def test_values_of_columns_are_part_of_an_antibody_that_is_measured_again() -> None:
    ph = [6.0] * 60
    model = Trainer(DESCRIPTORS, RidgeSpec(alpha=1.0)).fit(part(0, 60, label=CHARGE[:60], columns={"ph": ph}))
    plate = part(40, 60, label=CHARGE[40:60] + 9, columns={"ph": [6.0] * 5 + [7.0] * 15})
    again, (round_,) = retrain(model, [plate])
    assert (round_.measured_again, round_.scored) == (5, 0)
    assert again.training is not None
    assert len(again.training) == 75
    fixed = retrain(model.with_columns({"ph": 8}), [plate]).predictor
    np.testing.assert_allclose(fixed.predict(plate), again.predict(plate))


def test_replicates_of_a_plate_are_the_mean_or_the_class_of_all(predictor: Predictor) -> None:
    twice = pd.concat([frame(60, 80), frame(60, 63).assign(id=["r0", "r1", "r2"])])
    again, (round_,) = retrain(predictor, [twice])
    assert (round_.antibodies, round_.replicates) == (20, 3)
    assert "; 3 replicates" in str(round_)
    assert again.training is not None
    assert len(again.training) == 80
    torn = twice.assign(label=[*twice["label"][:20], *(1 - twice["label"][20:])])
    with pytest.raises(DatasetError, match="both classes: .*60.*r0") as error:
        retrain(predictor, [torn])
    assert sorted(error.value.rows) == [0, 1, 2, 20, 21, 22]
    values = Trainer(DESCRIPTORS, RidgeSpec(alpha=1.0)).fit(part(0, 60, label=CHARGE[:60]))
    numbers = twice.assign(label=[*CHARGE[60:80], *(CHARGE[60:63] + 1)])
    learned = retrain(values, [numbers]).predictor.training
    assert learned is not None
    label = dict(zip(learned.sequences, np.asarray(learned.label), strict=True))
    assert [label[text] for text in HEAVIES[60:63]] == (CHARGE[60:63] + 0.5).tolist()


def test_a_prediction_of_the_order_sheet_is_no_label() -> None:
    values = Trainer(DESCRIPTORS, RidgeSpec(alpha=1.0)).fit(part(0, 60, label=CHARGE[:60], chain="paired"))
    sheet = propose(values, (HEAVY, LIGHT), 4, 1, positions="CDR1", candidates=40, higher_is_better=False).table
    numbers = set(sheet.select_dtypes(["number", "bool"]).columns)
    assert numbers <= set(ORDER_SHEET)
    for name in sorted(numbers - {"pareto"}):
        with pytest.raises(DatasetError, match=f"'{name}' is a column of the order sheet"):
            retrain(values, [sheet.fillna(0)], label=name)
    assert retrain(values, [sheet.assign(elisa=range(4))], label="elisa").rounds[0].antibodies == 4


def test_labels_of_another_kind_are_refused_by_plate_and_name(predictor: Predictor, tmp_path: Path) -> None:
    values = frame(60, 80).assign(label=[0.2, 0.9] * 10)
    values.to_csv(tmp_path / "values.csv", index=False)
    with pytest.raises(DatasetError, match=r"values.csv: .* 0 and 1; 'label' has 0.2, 0.9"):
        retrain(predictor, [tmp_path / "values.csv"])
    round_ = retrain(predictor, [frame(60, 80).assign(label=1)]).rounds[0]
    assert (round_.score, round_.wanted) == (None, 0)


def test_facts_of_the_model_outlive_a_round(tmp_path: Path) -> None:
    licensed = part(0, 60, provenance=Provenance("a study", licence="CC BY-NC 4.0"))
    model = Trainer(DESCRIPTORS, STANDARDIZED, tune={"classifier.C": [0.1, 1.0]}).fit(licensed)
    model.save(tmp_path / "model")
    again = retrain(Predictor.load(tmp_path / "model"), [part(60, 80), part(80, 100)]).predictor
    assert again.data.licence == "CC BY-NC 4.0"
    assert again.spec.classifier == model.spec.classifier
    again.save(tmp_path / "next")
    assert Predictor.load(tmp_path / "next").data == again.data


def test_the_choice_of_a_tuned_model_is_one_of_the_antibodies_that_it_was_made_on(tmp_path: Path) -> None:
    model = Trainer(DESCRIPTORS, STANDARDIZED, tune={"classifier.C": [0.1, 1.0]}).fit(part(0, 60))
    assert retrain(model, []).predictor.data.notes == model.data.notes
    assert "tuned on its training antibodies" in " ".join(model.data.notes)
    once = retrain(model, [part(60, 80)]).predictor
    once.save(tmp_path / "model")
    again = retrain(Predictor.load(tmp_path / "model"), [part(80, 100)]).predictor
    again.save(tmp_path / "model")
    choice = (model.data.tuned or {})["choice"]["classifier.C"]
    for each, number in ((once, 80), (again, 100), (Predictor.load(tmp_path / "model"), 100)):
        assert each.data.notes == (
            f"The pipeline was tuned before it was retrained: the choice classifier.C={choice} was made on the 60 "
            f"antibodies of the model before, and kept for these {number}. Their cross-validation is optimistic, as "
            "the choice knows some of them.",
        )
        assert each.data.notes[0] in each.evaluate(part(60, 80)).notes
    assert "was made on the 60 antibodies" in (tmp_path / "model/README.md").read_text()


@pytest.mark.parametrize(
    "split", [SplitSpec(folds=5, repeats=2), SplitSpec(by="leave_one_out"), SplitSpec(by="identity", identity=0.8)]
)
def test_the_next_split_keeps_siblings_together(split: SplitSpec) -> None:
    model = Trainer(DESCRIPTORS, RidgeSpec(alpha=1.0), split).fit(part(0, 60, label=CHARGE[:60]))
    after = retrain(model, [part(60, 80, label=CHARGE[60:80])]).predictor.spec.split
    assert (after.by, after.identity) == ("identity", split.identity)
    assert (after.folds, after.repeats) == (split.folds, split.repeats)


def test_variants_of_one_antibody_are_learned_with_a_warning_if_a_decision_needs_folds() -> None:
    siblings = mutants(HEAVY, 60, 2)
    data = Dataset([f"a{i}" for i in range(60)], siblings, label=[0, 1] * 30)
    decision = DecisionSpec(threshold="balanced_accuracy")
    model = Trainer(DESCRIPTORS, STANDARDIZED, decision=decision).fit(data.subset(range(40)))
    with pytest.warns(UserWarning, match="too few clusters by identity"):
        again, _ = retrain(model, [data.subset(range(40, 60))])
    assert again.spec.split.by == "antibody"
    assert again.spec.decision == decision
    broad = Trainer(DESCRIPTORS, STANDARDIZED, decision=decision).fit(part(0, 60))
    assert retrain(broad, [part(60, 80)]).predictor.spec.split.by == "identity"


def test_the_log_beside_a_model_keeps_the_first_look_at_each_plate(predictor: Predictor, tmp_path: Path) -> None:
    rounds = retrain(predictor, [part(60, 80), part(80, 100)]).rounds
    assert read_log(tmp_path) == ()
    write_log(tmp_path, rounds[:1])
    later = replace(rounds[0], score=0.99)  # of a model that was fitted again
    write_log(tmp_path, with_log(tmp_path, (later, rounds[1])))
    assert read_log(tmp_path) == rounds
    write_log(tmp_path, rounds[1:])
    assert read_log(tmp_path) == rounds[1:]
    assert str(rounds[0]).startswith("given in Python: 20 antibodies, ")


@pytest.mark.parametrize(
    "line", ["[]", "{", '{"source": "x"}', json.dumps(dict.fromkeys(("source", "data", "antibodies"), 1)), "[" * 10_000]
)
def test_a_log_that_is_none_is_an_error(tmp_path: Path, line: str) -> None:
    (tmp_path / FILE).write_text(line + "\n")
    with pytest.raises(StoreError, match="line 1 is not a round"):
        read_log(tmp_path)


ROUND = Round("plate.csv", "0" * 64, 6, 1, 4, "roc_auc", 5, 0.7, 1)


@pytest.mark.parametrize(
    "change",
    [
        *({"score": value} for value in ("abc", 1.5, -0.1, float("nan"), True)),
        *({name: value} for name in ("wanted", "scored", "measured_again") for value in ("q", -1, 7, 1.0, True)),
        {"antibodies": -1},
        {"replicates": None},
        {"metric": "accuracy"},
        {"source": 3},
    ],
    ids=str,
)
def test_values_of_a_log_that_no_round_has_are_errors(tmp_path: Path, change: dict[str, Any]) -> None:
    write_log(tmp_path, [ROUND, replace(ROUND, score=None, wanted=None), replace(ROUND, metric="spearman", score=-0.5)])
    assert len(read_log(tmp_path)) == 3
    write_log(tmp_path, [ROUND, replace(ROUND, **change)])
    with pytest.raises(StoreError, match="line 2 is not a round"):
        read_log(tmp_path)
