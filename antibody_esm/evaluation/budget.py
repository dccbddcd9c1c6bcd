"""Trials of candidates within a budget, chosen by Optuna (doi:10.1145/3292500.3330701)."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_ASKED = 20
"""Proposals for each trial after which the trials that are left are drawn at random: proposals repeat themselves."""


def tried_within(
    goodness: Callable[[int], float],
    choices: Sequence[Mapping[str, str]],
    trials: int | None,
    seconds: float | None,
    seed: int,
) -> None:
    """Call a function for candidates that Optuna's tree-structured Parzen estimator proposes, each once.

    Parameters
    ----------
    goodness
        Function from the number of a candidate to a number that is high for good ones.
    choices
        Value of each key for each candidate; candidates may lack keys.
    trials
        Most candidates; None is all of them.
    seconds
        Time after which no candidate begins; None has no end. One candidate is tried in any case.
    seed
        Seed of the proposals, which do not depend on `seconds`.

    Raises
    ------
    ImportError
        If Optuna is not installed.
    """
    optuna = _optuna()
    ends = None if seconds is None else time.monotonic() + seconds
    most = min(trials or len(choices), len(choices))
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a new study is no news
    try:
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    finally:
        optuna.logging.set_verbosity(level)
    scores: dict[int, float] = {}
    for _ in range(_ASKED * most):
        if len(scores) == most or (scores and ends is not None and time.monotonic() >= ends):
            return
        trial = study.ask()
        number = _proposed(trial, choices)
        if number not in scores:
            scores[number] = goodness(number)
        study.tell(trial, scores[number])
    rest = [number for number in range(len(choices)) if number not in scores]
    for number in random.Random(seed).sample(rest, most - len(scores)):  # noqa: S311  no secret
        if ends is not None and time.monotonic() >= ends:
            return
        goodness(number)


def _proposed(trial: Any, choices: Sequence[Mapping[str, str]]) -> int:
    """Return the candidate that a trial proposes, key by key; a key that a candidate lacks is not proposed."""
    left = list(range(len(choices)))
    for key in sorted({key for choice in choices for key in choice}):
        options = sorted({choices[number].get(key, "") for number in left})
        if len(options) > 1:
            # values that depend on keys before have a name of their own, since Optuna's names have fixed values
            chosen = trial.suggest_categorical(f"{key} of {options}", options)
            left = [number for number in left if choices[number].get(key, "") == chosen]
    return left[0]


def optuna_version() -> str:
    """Return the version of Optuna, which decides what is tried; raises ImportError as `tried_within` does."""
    return str(_optuna().__version__)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "a budget (tune.trials, tune.minutes) needs Optuna: pip install '.[tune]' in a checkout of antibody_esm; "
            "without a budget the "
            "whole grid is tried"
        ) from error
    return optuna
