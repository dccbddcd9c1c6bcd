"""Read the arrays of a joblib file from a source that may not be trusted: nothing runs, nothing large is allocated."""

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
    """A file that ends too early, or announces too much."""

    def __init__(self, message: str, path: Path, needed: int) -> None:
        super().__init__(message, path)
        self.needed = needed
        """Bytes that the file would have to have, as far as it says."""


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
    """Where an array lies in a file whose size has been checked to hold it."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def end(self) -> int:
        """First byte behind the array."""
        return self.offset + _bytes(self.shape, self.dtype)

    def read(self) -> NDArray[Any]:
        """Return the whole array.

        Raises
        ------
        OSError
            If the file has gone, or cannot be read.
        EOFError
            If it has become shorter.
        """
        array = np.empty(self.shape, self.dtype)
        with opened(self.path) as file:
            self.read_rows(file, 0, array)
        return array

    def read_rows(self, file: FileIO, first: int, out: NDArray[Any]) -> None:
        """Fill a C-contiguous array ``(n, ...)`` with the rows from ``first`` on.

        Reading, unlike a mapping into memory, gives an error and no crash where a file becomes shorter or goes away on
        another host.
        """
        view = memoryview(out.reshape(-1).view(np.uint8).data) if out.size else memoryview(b"")
        file.seek(self.offset + first * _bytes(self.shape[1:], self.dtype))
        while view:
            count = file.readinto(view)
            if not count:
                raise EOFError(f"{self.path} has become shorter")
            view = view[count:]


def locate_arrays(path: Path, dtypes: dict[str, np.dtype[Any]]) -> dict[str, StoredArray]:
    """Return where the named arrays lie in a file that ``joblib.dump`` wrote from a dictionary of arrays.

    Parameters
    ----------
    dtypes
        The names that the file must hold, each with the one type allowed for it.

    Raises
    ------
    CutOffError
        If the file ends before its arrays do.
    StoreError
        If it holds anything else, asks for any code, or is no regular file.
    OSError
        If it cannot be read.
    """
    try:
        with opened(path) as raw, BufferedReader(raw) as file:
            size = os.fstat(raw.fileno()).st_size
            found = _Reader(path, _Bounded(file, size), size, set(dtypes.values())).load()
            end = file.tell()
    except KeyError as error:
        raise StoreError(f"not a segment of an embedding store: an array has no {error}", path) from error
    except _TooShortError as error:
        raise CutOffError(f"not a segment of an embedding store: {error}", path, error.needed) from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise StoreError(f"not a segment of an embedding store: {error}", path) from error
    if not isinstance(found, dict) or found.keys() != dtypes.keys():
        raise StoreError(f"not a segment of an embedding store: it should hold {', '.join(dtypes)}", path)
    for name, dtype in dtypes.items():
        if not isinstance(found[name], StoredArray) or found[name].dtype != dtype:
            raise StoreError(f"not a segment of an embedding store: {name} is no {dtype} array", path)
    if end != size:
        raise StoreError("not a segment of an embedding store: it has bytes beyond its arrays", path)
    return found


def _bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    count = dtype.itemsize
    for side in shape:
        count *= side
    return count


class _Bounded:
    """A file that is never read beyond its end, so that a forged length allocates nothing."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.tell, self.seek, self._read, self._size = file.tell, file.seek, file.read, size

    def read(self, count: int) -> bytes:
        left = self._size - self.tell()
        if count > left:
            raise _TooShortError(f"{count} bytes are announced where {left} are left", self.tell() + count)
        if count < 0:
            raise pickle.UnpicklingError("it announces less than nothing")
        return self._read(count)

    def readline(self) -> bytes:
        raise pickle.UnpicklingError("it has lines, which arrays have not")


class _DType:
    """Stands for numpy.dtype, whose own state can be set from a pickle to more than a type."""

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
    """Stands for joblib's NumpyArrayWrapper."""

    state: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state

    def place(self, path: Path, file: _Bounded, size: int, dtypes: set[np.dtype[Any]]) -> StoredArray:
        """Return where the array lies, once all that is said of it fits the file."""
        shape, wanted = self.state["shape"], self.state["dtype"]
        if not isinstance(wanted, _DType):
            raise ValueError("an array has no type")
        said = wanted.byte_order + wanted.name
        dtype = next((one for one in dtypes if one.newbyteorder("<").str == said), None)
        if dtype is None or self.state["order"] != "C":
            raise ValueError(f"an array of type {said} is not allowed")
        if type(shape) is not tuple or len(shape) not in (1, 2):
            raise ValueError("an array has neither one nor two sides")
        if not all(type(side) is int and 0 <= side < _LONGEST for side in shape):
            raise ValueError("an array's shape is no tuple of sizes")
        padding = file.read(1)[0]
        array = StoredArray(path, file.tell() + padding, shape, dtype)
        if array.end > size:
            raise _TooShortError(f"an array of shape {shape} does not fit into {size} bytes", array.end)
        file.seek(array.end)
        return array


_LONGEST = 2**48
"""No side of an array is so long, and the product of two is a number that numpy can hold."""


class _NotCallable:
    """Stands for numpy.ndarray, which is named in a file, and never called."""


_NAMES = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Array,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _NotCallable(),
}

_OPCODES = b"\x80 \x95 } \x94 ( \x8c \x93 ) \x81 K M J \x8a \x85 \x86 \x87 t h j R b N \x88 \x89 u s .".split(
    b" "
)  # what joblib needs to write a dictionary of arrays, and no more


class _Reader(NumpyUnpickler):  # type: ignore[misc]  # joblib comes without types
    """Joblib's reader, cut down to three names and to the operations that a dictionary of arrays takes."""

    dispatch = {code[0]: NumpyUnpickler.dispatch[code[0]] for code in _OPCODES}  # noqa: RUF012

    def __init__(self, path: Path, file: _Bounded, size: int, dtypes: set[np.dtype[Any]]) -> None:
        super().__init__(str(path), file, ensure_native_byte_order=False)
        self._place = path, file, size, dtypes

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no part of an array")
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
            raise pickle.UnpicklingError("it names something by what is no name")
        self.stack[-1][name] = value

    def load_newobj(self) -> None:
        if self.stack[-2] is not _Array or self.stack[-1] != ():
            raise pickle.UnpicklingError("it makes an object that is no array")
        self.stack[-2:] = [_Array()]

    def load_reduce(self) -> None:
        if self.stack[-2] is not _DType:
            raise pickle.UnpicklingError("it calls something")
        self.stack[-2:] = [_DType(*self.stack[-1])]

    def load_build(self) -> None:
        state, instance = self.stack.pop(), self.stack[-1]
        if not isinstance(instance, _Array | _DType):
            raise pickle.UnpicklingError("it changes something that is no array")
        instance.__setstate__(state)
        if isinstance(instance, _Array):
            self.stack[-1] = instance.place(*self._place)

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build
