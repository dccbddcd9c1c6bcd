"""Reader of arrays in untrusted joblib files, which runs no code and allocates no more than the file holds."""

import errno
import os
import pickle
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from joblib.numpy_pickle import NumpyUnpickler
from numpy.typing import NDArray

from antibody_esm.errors import StoreError


class CutOffError(StoreError):
    """A file that ends too early, or declares too many bytes."""

    def __init__(self, message: str, path: Path, needed: int) -> None:
        super().__init__(message, path)
        self.needed = needed
        """Bytes that the file should have by its own declaration."""


class _TooShortError(Exception):
    def __init__(self, message: str, needed: int) -> None:
        super().__init__(message)
        self.needed = needed


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """Open a file for reading, without a buffer; a symbolic link, a pipe or a folder is a StoreError."""
    try:
        number = os.open(path, _READING)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreError("is a symbolic link, which may point anywhere", path) from error
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise StoreError("is not a file", path)
    with FileIO(number, "rb") as file:
        yield file


_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True)
class StoredArray:
    """Place of an array in a file that is large enough to hold it."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def end(self) -> int:
        """Offset of the first byte after the array."""
        return self.offset + _bytes(self.shape, self.dtype)

    def read(self) -> NDArray[Any]:
        """Return the whole array.

        Raises
        ------
        OSError
            If the file was removed, or cannot be read.
        EOFError
            If the file has become shorter.
        """
        array = np.empty(self.shape, self.dtype)
        with opened(self.path) as file:
            self.read_rows(file, 0, array)
        return array

    def read_rows(self, file: FileIO, first: int, out: NDArray[Any]) -> None:
        """Fill a C-contiguous array ``(n, ...)`` with rows, beginning with row ``first``.

        The file is read, not mapped into memory: if another host cuts or removes it, the result is an error, not a
        crash.
        """
        view = memoryview(out.reshape(-1).view(np.uint8).data) if out.size else memoryview(b"")
        file.seek(self.offset + first * _bytes(self.shape[1:], self.dtype))
        while view:
            count = file.readinto(view)
            if not count:
                raise EOFError(f"{self.path} has become shorter")
            view = view[count:]


def locate_arrays(path: Path, dtypes: dict[str, np.dtype[Any]]) -> dict[str, StoredArray]:
    """Return the places of the named arrays in a file that ``joblib.dump`` wrote from a dictionary of arrays.

    Parameters
    ----------
    dtypes
        Names of the arrays that the file must hold, each with its type.

    Raises
    ------
    CutOffError
        If the file ends before its arrays do.
    StoreError
        If the file holds anything else, refers to other code, or is not a regular file.
    OSError
        If the file cannot be read.
    """
    try:
        with opened(path) as raw, BufferedReader(raw) as file:
            size = os.fstat(raw.fileno()).st_size
            arrays = _Reader(path, _Bounded(file, size), size, set(dtypes.values())).load()
            end = file.tell()
    except KeyError as error:
        raise StoreError(f"not a segment of an embedding store: an array has no {error}", path) from error
    except _TooShortError as error:
        raise CutOffError(f"not a segment of an embedding store: {error}", path, error.needed) from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise StoreError(f"not a segment of an embedding store: {error}", path) from error
    if not isinstance(arrays, dict) or arrays.keys() != dtypes.keys():
        raise StoreError(f"not a segment of an embedding store: it should hold {', '.join(dtypes)}", path)
    for name, dtype in dtypes.items():
        if not isinstance(arrays[name], StoredArray) or arrays[name].dtype != dtype:
            raise StoreError(f"not a segment of an embedding store: {name} is no {dtype} array", path)
    if end != size:
        raise StoreError("not a segment of an embedding store: it has bytes beyond its arrays", path)
    return arrays


def _bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    count = dtype.itemsize
    for side in shape:
        count *= side
    return count


class _Bounded:
    """A file that is never read beyond its end, so that a forged length allocates no memory."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.tell, self.seek, self._read, self._size = file.tell, file.seek, file.read, size

    def read(self, count: int) -> bytes:
        left = self._size - self.tell()
        if count > left:
            raise _TooShortError(f"{count} bytes are declared, but {left} are left", self.tell() + count)
        if count < 0:
            raise pickle.UnpicklingError("it declares a negative number of bytes")
        return self._read(count)

    def readline(self) -> bytes:
        raise pickle.UnpicklingError("it has lines of text")


class _DType:
    """Replacement of numpy.dtype, whose state a pickle could set to more than a type."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = _short(name)
        self.byte_order = "|"

    def __setstate__(self, state: Any) -> None:
        self.byte_order = _short(state[1])


def _short(text: Any) -> str:
    if type(text) is not str or len(text) > 8:
        raise ValueError("the type of an array has no short name")
    return text


class _Array:
    """Replacement of joblib's NumpyArrayWrapper."""

    state: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state

    def place(self, path: Path, file: _Bounded, size: int, dtypes: set[np.dtype[Any]]) -> StoredArray:
        """Return the place of the array, after checking its description against the file."""
        shape, wanted = self.state["shape"], self.state["dtype"]
        if not isinstance(wanted, _DType):
            raise ValueError("an array has no type")
        code = wanted.byte_order + wanted.name
        dtype = next((candidate for candidate in dtypes if candidate.newbyteorder("<").str == code), None)
        if dtype is None or self.state["order"] != "C":
            raise ValueError(f"an array of type {code} is not allowed")
        if type(shape) is not tuple or len(shape) not in (1, 2):
            raise ValueError("an array has neither one nor two dimensions")
        if not all(type(side) is int and 0 <= side < _LONGEST for side in shape):
            raise ValueError("an array's shape is no tuple of sizes")
        padding = file.read(1)[0]
        array = StoredArray(path, file.tell() + padding, shape, dtype)
        if array.end > size:
            raise _TooShortError(f"an array of shape {shape} does not fit into {size} bytes", array.end)
        file.seek(array.end)
        return array


_LONGEST = 2**48
"""Limit of an array's dimensions; numpy can hold the product of two."""


class _NotCallable:
    """Replacement of numpy.ndarray, which a file names but never calls."""


_NAMES = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Array,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _NotCallable(),
}

_OPCODES = b"\x80 \x95 } \x94 ( \x8c \x93 ) \x81 K M J \x8a \x85 \x86 \x87 t h j R b N \x88 \x89 u s .".split(
    b" "
)  # what joblib needs to write a dictionary of arrays, and no more


class _Reader(NumpyUnpickler):  # type: ignore[misc]  # joblib comes without types
    """Joblib's reader, restricted to three names and to the operations that a dictionary of arrays needs."""

    dispatch = {code[0]: NumpyUnpickler.dispatch[code[0]] for code in _OPCODES}  # noqa: RUF012

    def __init__(self, path: Path, file: _Bounded, size: int, dtypes: set[np.dtype[Any]]) -> None:
        super().__init__(str(path), file, ensure_native_byte_order=False)
        self._place = path, file, size, dtypes

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which is not part of an array")
        return _NAMES[module, name]

    def load_setitem(self) -> None:
        value, name = self.stack.pop(), self.stack.pop()
        self._set(name, value)

    def load_setitems(self) -> None:
        items = self.pop_mark()
        for name, value in zip(items[::2], items[1::2], strict=True):
            self._set(name, value)

    def _set(self, name: Any, value: Any) -> None:
        if type(name) is not str or type(self.stack[-1]) is not dict:
            raise pickle.UnpicklingError("it has a name that is not text")
        self.stack[-1][name] = value

    def load_newobj(self) -> None:
        if self.stack[-2] is not _Array or self.stack[-1] != ():
            raise pickle.UnpicklingError("it creates an object that is not an array")
        self.stack[-2:] = [_Array()]

    def load_reduce(self) -> None:
        if self.stack[-2] is not _DType:
            raise pickle.UnpicklingError("it calls a function")
        self.stack[-2:] = [_DType(*self.stack[-1])]

    def load_build(self) -> None:
        state, instance = self.stack.pop(), self.stack[-1]
        if not isinstance(instance, _Array | _DType):
            raise pickle.UnpicklingError("it changes an object that is not an array")
        instance.__setstate__(state)
        if isinstance(instance, _Array):
            self.stack[-1] = instance.place(*self._place)

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build
