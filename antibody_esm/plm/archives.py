"""Weights of PyTorch whose tensors need no more memory than their file has bytes, up to weights with several names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from antibody_esm.limits import LimitError

_LIST = 64 * 10**6
"""Largest size of the list of tensors, in bytes."""
_NAMES = 8
"""Times that the bytes of a file may occur in its tensors; T5 has four names for its embeddings."""


def read_shapes(path: Path) -> Any:
    """Return the content of a file of PyTorch without the numbers of its tensors, which are on the device ``meta``.

    No code of the file is run. Every reader of such a file calls this first.

    Raises
    ------
    LimitError
        If PyTorch does not write such an archive, or a copy of the tensors would need far more memory than the file
        has bytes, as those of `torch.Tensor.expand` and sparse ones would.
    OSError, RuntimeError, pickle.UnpicklingError
        If the file is damaged, or holds objects other than tensors.
    """
    import torch

    archive = _is_zip(path)
    if archive:
        _check_archive(path)
    content = torch.load(path, map_location="meta", weights_only=True, mmap=archive)
    largest, total = path.stat().st_size, 0
    for tensor in _tensors(content):
        if tensor.layout != torch.strided:
            raise LimitError("a tensor that is sparse")
        if not tensor.numel():
            continue
        reach = 1  # numbers from the first to the last of the inner dimensions
        for step, length in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
            if length > 1 and step < reach:
                raise LimitError("a tensor that repeats its numbers, as torch.Tensor.expand makes")
            reach += (length - 1) * step
        ends = (tensor.storage_offset() + reach) * tensor.element_size(), tensor.untyped_storage().nbytes()
        if max(ends) > largest:
            raise LimitError(f"a tensor of more bytes than the {largest:,} of its file")
        total += tensor.numel() * tensor.element_size()  # on meta, names of the same numbers have storages of their own
    if total > _NAMES * largest:
        raise LimitError(f"tensors of more than {_NAMES} times the {largest:,} bytes of their file")
    return content


def _tensors(content: Any) -> Iterator[Any]:
    """Yield the tensors of nested dictionaries and lists."""
    import torch

    todo, seen = [content], set()
    while todo:
        value = todo.pop()
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            todo += value.values() if isinstance(value, dict) else value


def _check_archive(path: Path) -> None:
    """Raise an error for an archive that PyTorch does not write: packed files, or more bytes than the archive has."""
    try:
        with ZipFile(path) as archive:
            members = archive.infolist()
    except BadZipFile as error:
        raise LimitError(f"a damaged archive: {error}") from error
    if any(member.compress_type != ZIP_STORED for member in members):
        raise LimitError("an archive with packed files, which PyTorch does not write")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise LimitError("an archive that declares more bytes than it has")
    if any(member.file_size > _LIST for member in members if member.filename.endswith(".pkl")):
        raise LimitError("an archive whose list of tensors is too long")


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
