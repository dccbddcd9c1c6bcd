"""Checks of kept results of tuning: values that the computation could have returned.

A folder of results may be shared. Whoever can write there can change a score, as in a store, but nothing else.
"""

from typing import Any

from antibody_esm.result_cache import Valid


def fold_scores(folds: int) -> Valid:
    """Return the check of a candidate's scores on inner folds, which may be undefined."""
    return lambda kept: isinstance(kept, list) and len(kept) == folds and all(map(_is_number_or_none, kept))


def tried(candidates: int) -> Valid:
    """Return the check of the candidates that were tried within a budget, each once, with their scores."""

    def valid(kept: Any) -> bool:
        if (
            not isinstance(kept, list)
            or not kept
            or not all(isinstance(pair, list) and len(pair) == 2 for pair in kept)
        ):
            return False
        numbers = [number for number, _ in kept]
        candidates_only = all(type(number) is int and 0 <= number < candidates for number in numbers)
        return candidates_only and len(set(numbers)) == len(numbers) and all(_is_number(score) for _, score in kept)

    return valid


def predictions(rows: int, others: int | None, *, continuous: bool) -> Valid:
    """Return the check of the predictions of a fold: for its test rows, and for rows without a label."""
    lengths = {"prediction": rows, "probability": None if continuous else rows, "others": others}

    def valid(kept: Any) -> bool:
        if not isinstance(kept, dict) or set(kept) != {*lengths, "converged", "penalty"}:
            return False
        if type(kept["converged"]) is not bool or not _is_number_or_none(kept["penalty"]):
            return False
        shares = [kept["probability"], kept["others"]] if not continuous else []
        return all(_are_numbers(kept[name], length) for name, length in lengths.items()) and (
            continuous
            or (
                all(value in (0, 1) for value in kept["prediction"])
                and all(0 <= value <= 1 for values in shares for value in values or [])
            )
        )

    return valid


def _are_numbers(values: Any, length: int | None) -> bool:
    if length is None:
        return values is None
    return isinstance(values, list) and len(values) == length and all(map(_is_number, values))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _is_number_or_none(value: Any) -> bool:
    return value is None or _is_number(value)
