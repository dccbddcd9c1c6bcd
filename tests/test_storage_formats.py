import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from antibody_esm import Extractor, ExtractorSpec, embed
from antibody_esm.storage_formats import decode, encode, rounded

rows = npst.arrays(
    np.float32, npst.array_shapes(min_dims=2, max_dims=2, min_side=0), elements=st.floats(-60000, 60000, width=32)
)


@given(rows, st.sampled_from(["float32", "float16", "int8"]))
def test_what_was_rounded_once_stays_as_it_is(rows: np.ndarray, storage: str) -> None:
    once = rounded(rows, storage)
    assert (once.shape, once.dtype) == (rows.shape, np.float32)
    assert rounded(once, storage).tobytes() == once.tobytes()


@given(rows)
def test_int8_is_off_by_half_a_step_at_most(rows: np.ndarray) -> None:
    codes, scales = encode(rows, "int8")
    assert (codes.dtype, scales.dtype, scales.shape) == (np.int8, np.float32, rows.shape[:1])
    error = np.abs(decode(codes, scales).astype(float) - rows)
    assert (error <= scales[:, None].astype(float) * 0.5 * (1 + 1e-6)).all()
    tiny = np.finfo(np.float32).tiny
    assert (scales <= np.maximum(np.abs(rows).max(axis=1, initial=0) / 127 * (1 + 2e-5), tiny)).all()


@given(rows)
def test_float16_is_off_by_the_last_of_eleven_bits_at_most(rows: np.ndarray) -> None:
    error = np.abs(rounded(rows, "float16").astype(float) - rows)
    assert (error <= np.maximum(np.abs(rows) * 2.0**-11, 2.0**-25)).all()


def test_a_row_of_zeros_stays_one() -> None:
    assert (rounded(np.zeros((2, 3), np.float32), "int8") == 0).all()


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(storage: str, number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        encode(np.array([[1, number]], np.float32), storage)


def test_what_is_too_large_for_a_format_is_refused() -> None:
    with pytest.raises(ValueError, match="float16"):
        encode(np.array([[1, 70000]], np.float32), "float16")
    with pytest.raises(ValueError, match="int8"):
        encode(np.array([[1, np.finfo(np.float32).max]], np.float32), "int8")


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_a_vector_is_the_same_before_and_after_it_was_stored(tiny: ExtractorSpec, tmp_path, storage: str) -> None:
    spec = tiny.model_copy(update={"storage": storage})
    sequences = ["EVQLVESGG", "QVQLQQSGA", "EVQLVESGG"]
    first, again = embed(sequences, spec, tmp_path), embed(sequences, spec, tmp_path)
    assert first.tobytes() == again.tobytes() == embed(sequences, spec).tobytes()
    assert first.tobytes() == Extractor(spec).embed(sequences).tobytes()
    exact = embed(sequences, tiny, tmp_path)
    assert not np.array_equal(first, exact)
    assert np.abs(first - exact).max() < 0.01 * np.abs(exact).max()
