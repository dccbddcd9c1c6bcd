"""Scores that are saved with a model: the same in every order of calls, and none if none are wanted."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from antibody_esm import Panel, Predictor, SplitSpec, Trainer, TuneSpec
from antibody_esm.data.dataset import Dataset
from antibody_esm.model_scores import NOT_SAVED, NOT_WANTED, ModelScores
from antibody_esm.testing import tiny_checkpoint
from antibody_esm.unknown import Unknown
from chains import HEAVY, mutants
from reporting import CHARGES, LOGREG, antibodies

THREE = SplitSpec(folds=3)
FILES = ("manifest.json", "README.md", "classifier.skops", "training.npz")


def saved(model: Predictor | Panel, folder: Path) -> dict[str, bytes]:
    model.save(folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def trainer(**options: Any) -> Trainer:
    return Trainer(CHARGES, **{"classifier": LOGREG, "split": THREE} | options)


@pytest.mark.parametrize(
    "settings", [{}, {"classifier": "ridge"}, {"tune": TuneSpec(grid={"classifier.C": (0.1, 1.0)}, folds=2)}]
)
def test_saved_bytes_do_not_depend_on_the_order_of_calls(settings: dict[str, Any], tmp_path: Path) -> None:
    continuous = settings.get("classifier") == "ridge"
    data, other = antibodies(40, continuous=continuous), antibodies(30, seed=7, continuous=continuous)
    expected = saved(trainer(**settings).fit(data), tmp_path / "fit")
    assert json.loads(expected["manifest.json"])["metrics"]["verdict"]["sentence"]
    first, kept = trainer(**settings), []
    kept.append(first.cross_validate(data))
    orders = {"validated before": first.fit(data)}
    second = trainer(**settings)
    second.cross_validate(data)
    second.cross_validate(other)
    second.fit(other)
    orders["other data between"] = second.fit(data)
    third = trainer(**settings)
    orders["validated after"] = third.fit(data)
    kept.append(third.cross_validate(data))
    fourth = trainer(**settings)
    orders["unchecked before"] = fourth.fit(data)
    fourth.cross_validate(data, check=False)
    fourth.cross_validate(other)
    fifth = trainer(**settings)
    assert str(fifth.cross_validate(data))  # all of its numbers are computed
    orders["printed"] = fifth.fit(data, uncertainty=True)
    for name, model in orders.items():
        assert saved(model, tmp_path / name) == expected, name


def test_a_fit_computes_no_scores_and_a_save_computes_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, plain = [], Trainer._cross_validated

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        return plain(*args, **options)

    monkeypatch.setattr(Trainer, "_cross_validated", counted)
    model = trainer().fit(antibodies(40))
    assert (calls, model.scores.ready) == ([], None)
    model.digest  # noqa: B018
    repr(model)
    assert calls == []
    model.save(tmp_path / "one")
    model.save(tmp_path / "two")
    assert calls == [1]
    assert model.scores.ready == model.metrics is not None
    assert model.metrics == Predictor.load(tmp_path / "one").metrics


def test_no_scores_are_saved_if_none_are_wanted_even_after_a_cross_validation(tmp_path: Path) -> None:
    one = trainer()
    one.cross_validate(antibodies(40))
    model = one.fit(antibodies(40), scores=False)
    assert model.metrics is None
    folder = model.save(tmp_path / "model")
    loaded = Predictor.load(folder)
    assert loaded.metrics is None
    assert loaded.scores.value == NOT_WANTED == model.scores.value
    assert "the model was fitted with scores=False" in (folder / "README.md").read_text()


def test_scores_are_those_of_the_report(tmp_path: Path) -> None:
    model, report = trainer().fit(antibodies(40)), trainer().cross_validate(antibodies(40))
    metrics = model.metrics
    assert metrics is not None
    assert {name: metrics[name] for name in report.summary if name != "notes"} == {
        name: value for name, value in report.summary.items() if name != "notes"
    }
    facts = report.to_dict()
    assert metrics["verdict"] == facts["verdict"]
    assert metrics["intervals"] == facts["intervals"]
    first = metrics["baselines"][0]
    assert first["intervals"]["roc_auc"] == facts["baselines"][first["name"]]["roc_auc"]
    assert metrics["design"] == report.design
    assert set(metrics["notes"]) | set(metrics["warnings"]) >= set(report.warnings)


def test_a_cross_validation_that_fails_keeps_no_model_from_being_saved_and_its_message_is_not_saved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = antibodies(30, 5)
    model = trainer(split=SplitSpec(folds=10)).fit(data, uncertainty=False)
    with caplog.at_level(logging.WARNING, "antibody_esm"):
        folder = model.save(tmp_path / "model")
    assert "without scores" in caplog.text
    reason = "the antibodies do not allow the cross-validation of the split"
    assert Predictor.load(folder).scores.value == Unknown(reason)
    assert f"No scores were computed: {reason}." in (folder / "README.md").read_text()


def test_the_baseline_of_random_weights_is_part_of_the_scores_in_every_order(tmp_path: Path) -> None:
    chains = mutants(HEAVY, 24, 30)
    data = Dataset([f"a{i}" for i in range(24)], chains, label=[i % 2 for i in range(24)])
    folder = tiny_checkpoint("esm", tmp_path / "plm", seed=5)

    def model() -> Trainer:
        return Trainer(str(folder), "logreg", THREE)

    first = saved(model().fit(data), tmp_path / "fit")
    again = model()
    report = again.cross_validate(data)
    assert saved(again.fit(data), tmp_path / "both") == first
    names = [each["name"] for each in json.loads(first["manifest.json"])["metrics"]["baselines"]]
    assert "random_weights" in names
    assert "random_weights" in report.baselines.found


def test_a_panel_has_the_scores_of_each_label_in_every_order(tmp_path: Path) -> None:
    values = antibodies(40, continuous=True).label
    assert values is not None
    targets = {"HIC": list(values), "Tm2": [-value for value in values]}
    data = Dataset(antibodies(40).ids, antibodies(40).heavy, measurements=targets, targets=tuple(targets))
    first = saved(Panel.fit(trainer(classifier="ridge"), data, check=False), tmp_path / "fit")
    again = trainer(classifier="ridge")
    Panel.cross_validate(again, data, check=False)
    assert saved(Panel.fit(again, data, check=False), tmp_path / "both") == first
    none = Panel.fit(trainer(classifier="ridge"), data, scores=False, check=False)
    assert [model.metrics for model in none.values()] == [None, None]


def test_values_that_are_known_are_ready() -> None:
    assert ModelScores.of({"scores": {}}).ready == {"scores": {}}
    assert ModelScores.of(None).value == NOT_SAVED
    assert ModelScores.of(NOT_WANTED).ready is None
