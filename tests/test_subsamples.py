"""Draws of a learning curve: no held-out row in a training set, no unit divided, each set in the next one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import DatasetError, SplitSpec
from antibody_esm.evaluation.splits import Division
from antibody_esm.evaluation.subsamples import Draw, draws
from antibody_esm.specs.splits import SplitBy
from effort import examples


def division(by: SplitBy, unit: np.ndarray | None, folds: int = 4) -> Division:
    spec = SplitSpec(by=by) if by in ("family", "fold", "leave_one_out") else SplitSpec(by=by, folds=folds)
    return Division(spec, unit)


def of(by: SplitBy, n: int, seed: int, continuous: bool = False) -> tuple[Division, np.ndarray, list[Draw]]:
    generator = np.random.default_rng(seed)
    label = generator.normal(size=n) if continuous else (np.arange(n) % 2)[generator.permutation(n)]
    units = {"antibody": None, "leave_one_out": np.arange(n), "fold": generator.permutation(n) % 5}
    unit = units.get(by, generator.integers(0, n // 3, n))
    if by == "family":
        unit = generator.permutation(n) % 8
    made = division(by, unit)
    return made, label, draws(made, label, continuous=continuous, number=8)


UNITS: list[SplitBy] = ["antibody", "identity", "group", "family", "fold"]


@given(st.sampled_from(UNITS), st.integers(90, 140), st.integers(0, 99), st.booleans())
@examples(80)
def test_sets_are_nested_and_of_whole_units_and_hold_no_held_out_row(
    by: SplitBy, n: int, seed: int, continuous: bool
) -> None:
    made, _, drawn = of(by, n, seed, continuous)
    unit = np.arange(n) if made.unit is None else made.unit
    assert len(drawn) >= 8
    for draw in drawn:
        for smaller, larger in zip(draw.training, draw.training[1:], strict=False):
            assert set(smaller) <= set(larger)
        assert len(draw.training[0]) < len(draw.training[-1])
        everything = np.concatenate([draw.training[-1], draw.held_out])
        assert sorted(everything) == list(range(n))
        assert not set(unit[draw.training[-1]]) & set(unit[draw.held_out])
        if by in ("identity", "group", "family"):
            for rows in draw.training:
                outside = np.setdiff1d(np.arange(n), rows)
                assert not set(unit[rows]) & set(unit[outside])


def test_the_first_draws_hold_out_the_folds_of_the_split() -> None:
    made, label, drawn = of("antibody", 100, 0)
    for draw, (_, test) in zip(drawn, made.folds(label), strict=False):
        assert np.array_equal(draw.held_out, test)


def test_every_row_is_held_out_equally_often() -> None:
    for by in ("antibody", "identity"):
        _, label, drawn = of(by, 100, 0)
        counts = np.bincount(np.concatenate([draw.held_out for draw in drawn]), minlength=len(label))
        assert len(set(counts)) == 1


def test_parts_of_a_draw_have_about_the_classes_of_the_whole() -> None:
    _, label, drawn = of("antibody", 120, 1)
    for draw in drawn:
        for rows in draw.training:
            assert abs(label[rows].mean() - 0.5) <= 2 / len(rows) + 1e-9


def test_one_antibody_left_out_becomes_a_fifth_since_one_has_no_correlation() -> None:
    _, _, drawn = of("leave_one_out", 100, 0, continuous=True)
    assert {len(draw.held_out) for draw in drawn} == {20}


@pytest.mark.parametrize(
    ("by", "unit", "label", "reason"),
    [
        ("antibody", None, np.arange(22) % 2, "22 antibodies"),
        ("antibody", None, np.arange(120) < 9, "9 of class 1"),
        ("family", np.arange(90) % 3, np.arange(90) // 3 % 2, "3 units of split.by=family"),
        ("family", np.repeat([0, 1, 2], [60, 40, 20]), np.arange(120) % 2, "3 units of split.by=family give 2"),
        ("group", np.repeat([0, 1, 2], [60, 40, 20]), np.arange(120) % 2, "3 units of split.by=group give 2"),
    ],
)
def test_too_few_antibodies_or_units_are_refused_with_the_reason(
    by: SplitBy, unit: np.ndarray | None, label: np.ndarray, reason: str
) -> None:
    with pytest.raises(DatasetError, match=reason):
        draws(division(by, unit, 3), label.astype(np.int64))
