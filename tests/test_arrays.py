import io
import os
import pickle
import struct
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyPickler

from antibody_esm import StoreError
from antibody_esm.store.arrays import locate_arrays
from effort import examples

DTYPES: dict[str, np.dtype] = {"a": np.dtype("uint8"), "b": np.dtype("float32")}


def dumped(value: object) -> bytes:
    file = io.BytesIO()
    joblib.dump(value, file)
    return file.getvalue()


GOOD = dumped({"a": np.arange(6, dtype=np.uint8).reshape(3, 2), "b": np.ones((2, 300), np.float32)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.joblib"


@given(st.lists(st.integers(0, 5), min_size=1, max_size=2), st.lists(st.integers(0, 300), min_size=1, max_size=2))
@examples(40)
def test_arrays_come_back_as_joblib_wrote_them(path: Path, one: list[int], other: list[int]) -> None:
    generator = np.random.default_rng(0)
    arrays = {"a": generator.integers(0, 255, one, np.uint8), "b": generator.random(other, np.float32)}
    path.write_bytes(dumped(arrays))
    found = locate_arrays(path, DTYPES)
    assert all(np.array_equal(found[name].read(), arrays[name]) for name in arrays)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def test_a_file_that_would_run_code_is_an_error_and_nothing_runs(path: Path, tmp_path: Path) -> None:
    evil = Evil(tmp_path / "ran")
    objects = np.array([evil], object)
    for value in (evil, {"a": evil}, {"a": objects, "b": np.ones(1, np.float32)}, objects, [evil]):
        for content in (dumped(value), pickle.dumps(value)):
            path.write_bytes(content)
            with pytest.raises(StoreError):
                locate_arrays(path, DTYPES)
            assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "value",
    [
        {"a": np.ones(3, np.uint8)},
        {"a": np.ones(3, np.uint8), "b": np.ones(3, np.float64)},
        {"a": np.ones(3, np.uint8), "b": np.ones(3, ">f4")},
        {"a": np.ones(3, np.uint8), "b": np.ones((3, 2), np.float32, order="F")},
        {"a": np.ones(3, np.uint8), "b": np.ones(3, [("x", "f4")])},
        {"a": np.ones(3, np.uint8), "b": np.ones(3, np.float32), "c": np.ones(3, np.float32)},
        {"a": np.ones(3, np.uint8), "b": np.float32(1)},
        {"a": np.ones(3, np.uint8), "b": "text"},
        {"a": np.ones(3, np.float32), "b": np.ones(3, np.uint8)},
        np.ones(3, np.float32),
        {},
        [],
        None,
    ],
)
def test_anything_but_the_expected_arrays_is_an_error(path: Path, value: object) -> None:
    path.write_bytes(dumped(value))
    with pytest.raises(StoreError):
        locate_arrays(path, DTYPES)


@given(st.integers(0, len(GOOD) - 1))
def test_a_file_cut_anywhere_is_an_error(path: Path, size: int) -> None:
    path.write_bytes(GOOD[:size])
    with pytest.raises(StoreError):
        locate_arrays(path, DTYPES)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@examples(500)
def test_a_changed_byte_is_an_error_or_changes_values_only(path: Path, place: int, byte: int) -> None:
    path.write_bytes(GOOD[:place] + bytes([byte]) + GOOD[place + 1 :])
    try:
        found = locate_arrays(path, DTYPES)
    except StoreError:
        return
    assert found["a"].read().nbytes + found["b"].read().nbytes <= len(GOOD)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError):
        locate_arrays(path, DTYPES)


def test_bytes_beyond_the_arrays_are_an_error(path: Path) -> None:
    path.write_bytes(GOOD + b"\x00")
    with pytest.raises(StoreError, match="bytes beyond"):
        locate_arrays(path, DTYPES)


@pytest.mark.parametrize("shape", [(2**40, 300), (-1, 300), (2**62, 2**62), (2, 301)])
def test_an_absurd_shape_is_an_error_and_allocates_nothing(path: Path, shape: tuple[int, int]) -> None:
    def long(number: int) -> bytes:
        data = number.to_bytes(9, "little", signed=True)
        return b"\x8a" + bytes([len(data)]) + data

    honest = b"K\x02M" + struct.pack("<H", 300) + b"\x86"
    assert GOOD.count(honest) == 1
    path.write_bytes(GOOD.replace(honest, long(shape[0]) + long(shape[1]) + b"\x86"))
    with pytest.raises(StoreError):
        locate_arrays(path, DTYPES)


def test_an_absurd_length_of_text_is_an_error_and_allocates_nothing(path: Path) -> None:
    path.write_bytes(b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"abc")
    with pytest.raises(StoreError):
        locate_arrays(path, DTYPES)
    path.write_bytes(b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"abc")
    with pytest.raises(StoreError, match="are declared"):
        locate_arrays(path, DTYPES)


def test_a_missing_file_is_an_error_that_says_so(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        locate_arrays(path, DTYPES)


def test_a_link_a_folder_and_a_pipe_are_errors_and_nothing_waits(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(GOOD)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="symbolic link"):
        locate_arrays(path, DTYPES)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="not a file"):
        locate_arrays(path, DTYPES)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="not a file"):
        locate_arrays(path, DTYPES)


def pickled(*operations: bytes) -> bytes:
    return b"\x80\x04" + b"".join(operations) + b"."


def test_a_nested_tuple_is_neither_written_out_nor_hashed(path: Path) -> None:
    """Each level names the one below twice: written out it has 2**levels parts."""
    nested = b")\x94" + b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86\x94" for i in range(60))
    as_key = pickled(b"}", nested, b"K\x01s")
    as_name = pickled(b"\x8c\x05numpy\x8c\x05dtype\x93", nested, b"\x85R")
    began = time.process_time()
    for content in (as_key, as_name):
        path.write_bytes(content)
        with pytest.raises(StoreError):
            locate_arrays(path, DTYPES)
    assert time.process_time() - began < 30, "not 2**60 steps"


@pytest.mark.parametrize("shape", [(), (0, 2**70), (2**50,), (1,) * 70, (2, 300, 1)])
def test_a_shape_that_numpy_cannot_hold_is_an_error(path: Path, shape: tuple[int, ...]) -> None:
    class Pickler(NumpyPickler):
        def _create_array_wrapper(self, array: np.ndarray) -> NumpyArrayWrapper:
            wrapper = super()._create_array_wrapper(array)
            if array.shape == (2, 300):
                wrapper.shape = shape
            return wrapper

    file = io.BytesIO()
    Pickler(file, protocol=4).dump({"a": np.zeros((1, 1), np.uint8), "b": np.ones((2, 300), np.float32)})
    path.write_bytes(file.getvalue())
    with pytest.raises(StoreError):
        locate_arrays(path, DTYPES)
