"""Power laws of learning curves: what they promise for any scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm.evaluation.power_law import EXPONENTS, fit_power_law
from effort import examples

SIZES = np.array([20.0, 35.0, 60.0, 110.0, 190.0, 330.0])


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6))
@examples(60)
def test_no_law_falls_or_passes_the_best_value(scores: list[float]) -> None:
    law = fit_power_law(SIZES, np.array([scores]))
    values = law([*SIZES, 1e3, 1e6])[0]
    assert (np.diff(values) >= -1e-9).all()
    assert values.max() <= 1 + 1e-9
    assert EXPONENTS[0] - 1e-9 <= law.parameters[0, 2] <= EXPONENTS[1] + 1e-9


@given(st.floats(0.6, 0.95), st.floats(0.02, 0.3), st.floats(0.3, 0.8))
@examples(60)
def test_a_power_law_is_found_again(a: float, b: float, c: float) -> None:
    def right(size: object) -> np.ndarray:
        return np.asarray(a - b * (np.asarray(size) / SIZES[-1]) ** -c)

    law = fit_power_law(SIZES, right(SIZES)[None])
    np.testing.assert_allclose(law(SIZES)[0], right(SIZES), atol=0.03)
    assert law(660.0)[0, 0] == pytest.approx(right(660.0), abs=0.03)


def test_resamples_differ_by_the_exponents_that_the_sizes_leave_open() -> None:
    scores = np.tile(0.9 - 0.1 * (SIZES / SIZES[-1]) ** -0.5, (101, 1))
    law = fit_power_law(SIZES, scores)
    near, far = law([SIZES[-1], 10 * SIZES[-1]])[1:].std(axis=0)
    assert 0 < near < far
    assert np.array_equal(fit_power_law(SIZES, scores).parameters, law.parameters)
