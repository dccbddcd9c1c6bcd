"""Results of tuning that were kept: forged ones are computed again, and none is taken for another direction."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from antibody_esm import SplitSpec, TuneSpec
from antibody_esm.evaluation import kept
from antibody_esm.evaluation.splits import Division
from antibody_esm.evaluation.tuning import Procedure, Tunable
from antibody_esm.result_cache import ResultFolder

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(60, 3))
LABEL = (X[:, 0] + GENERATOR.normal(size=60) > 0).astype(int)
SPLIT = SplitSpec(folds=3)
TUNE = TuneSpec(grid={"classifier.C": (0.001, 1.0)}, folds=2)
FORGED: list[Any] = [None, [], {}, ["a", "b"], {"a": 1}, [1e308, 1e308], [[1]], [True, True], "text", [0.5]]


def procedure(results: ResultFolder) -> Procedure:
    candidates = [Tunable(0, LogisticRegression(C=C), f"C={C}") for C in (0.001, 1.0)]
    return Procedure(TUNE, candidates, [X], LABEL, results=results)


def scores(results: ResultFolder) -> tuple[Any, ...]:
    division = Division(SPLIT)
    folds = division.folds(LABEL)
    made = procedure(results)
    selections = made.select([train for train, _ in folds], division)
    validation = made.predictions([each.chosen for each in selections], folds, division)
    return [each.scores for each in selections], validation.scores["roc_auc"].tolist()


def forge(path: Path, value: Any) -> None:
    text = json.dumps(value)
    path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n")


@pytest.mark.parametrize("value", FORGED, ids=str)
def test_a_forged_result_is_computed_again(value: Any, tmp_path: Path) -> None:
    expected = scores(ResultFolder(tmp_path))
    paths = sorted(tmp_path.iterdir())
    for path in paths:
        forge(path, value)
    again = ResultFolder(tmp_path)
    assert scores(again) == expected
    assert again.computed == len(paths)
    third = ResultFolder(tmp_path)
    assert scores(third) == expected
    assert third.computed == 0


def test_predictions_of_other_lengths_or_kinds_are_refused() -> None:
    good = {"prediction": [0, 1], "probability": [0.1, 0.9], "others": None, "converged": True, "penalty": None}
    valid = kept.predictions(2, None, continuous=False)
    assert valid(good)
    for name, value in {
        "prediction": [0, 2],
        "probability": [0.1, 1.5],
        "others": [0.5],
        "converged": 1,
        "penalty": "strong",
    }.items():
        assert not valid(good | {name: value})
    assert not valid(good | {"prediction": [0]})
    assert not valid(good | {"more": 1})
    assert kept.predictions(2, 1, continuous=True)(
        good | {"prediction": [-3.5, 2], "probability": None, "others": [9.5]}
    )


def test_candidates_that_were_tried_are_candidates_each_once() -> None:
    valid = kept.tried(3)
    assert valid([[2, 0.5], [0, 0.7]])
    for forged in ([], [[3, 0.5]], [[0, 0.5], [0, 0.6]], [[0, None]], [[True, 0.5]], [[0]], {"0": 0.5}):
        assert not valid(forged)


def test_a_search_within_a_time_is_not_taken_for_one_of_the_other_direction(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    value = X[:, 0] + GENERATOR.normal(size=60)
    tune = TuneSpec(grid={"classifier.alpha": (0.1, 1e4)}, folds=2, minutes=1, metric="top_k_recall")

    def selected(results: ResultFolder, *, high: bool) -> Any:
        candidates = [Tunable(0, Ridge(alpha), f"{alpha}", {"classifier.alpha": f"{alpha}"}) for alpha in (0.1, 1e4)]
        made = Procedure(tune, candidates, [X], value, True, high, results=results)
        return [each.scores for each in made.select([np.arange(60)], Division(SPLIT))]

    first = selected(ResultFolder(tmp_path), high=True)
    assert selected(ResultFolder(tmp_path), high=True) == first
    assert selected(ResultFolder(tmp_path), high=False) == selected(ResultFolder(None), high=False)
