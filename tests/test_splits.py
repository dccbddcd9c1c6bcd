import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import DatasetError, SplitSpec
from antibody_esm.evaluation.splits import folds


@given(st.integers(2, 6), st.integers(6, 40), st.integers(6, 40), st.booleans(), st.integers(0, 5))
def test_every_row_is_tested_once_and_classes_are_spread(
    n_folds: int, negatives: int, positives: int, shuffle: bool, seed: int
) -> None:
    label = np.array([0] * negatives + [1] * positives)
    made = folds(SplitSpec(folds=n_folds, shuffle=shuffle, random_state=seed), label)
    assert len(made) == n_folds
    assert sorted(np.concatenate([test for _, test in made]).tolist()) == list(range(len(label)))
    for train, test in made:
        assert sorted([*train, *test]) == list(range(len(label)))
        assert abs(label[test].sum() - positives / n_folds) <= 1


def test_the_seed_decides_and_nothing_else() -> None:
    label = np.array([0, 1] * 20)

    def tested(seed: int) -> list[list[int]]:
        return [test.tolist() for _, test in folds(SplitSpec(folds=4, random_state=seed), label)]

    assert tested(0) == tested(0) != tested(1)


def test_a_class_smaller_than_the_number_of_folds_is_an_error_that_says_so() -> None:
    with pytest.raises(DatasetError, match=r"10 folds need at least 10 .* class 1 has 7\. Set split.folds lower"):
        folds(SplitSpec(), np.array([0] * 30 + [1] * 7))
