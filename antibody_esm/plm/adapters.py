"""Adapter of a fine-tuned language model: a file of tensors, which are checked before they are used."""

import hashlib
import json
import re
import struct
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, ValidationError

from antibody_esm.errors import CheckpointError
from antibody_esm.files import write
from antibody_esm.limits import LimitError, parse_json, read_regular
from antibody_esm.specs.address import Digest, ResolvedExtractorSpec
from antibody_esm.specs.base import Frozen
from antibody_esm.specs.finetuning import FineTuneSpec

NAME = "adapter.safetensors"
"""Name of an adapter's file in the folder of a model."""
PREFIX = "base_model.model."
"""Beginning of the names that peft gives to tensors of updates."""
POOLING = "pooling.weight"
"""Name of the tensor of ``pooling="attention"``."""
LARGEST = 2 * 10**9
"""Most bytes of an adapter's file."""
_METADATA = "antibody_esm"
_HEADER = 4 * 10**6
_MOST = 50_000
"""Most tensors of an adapter."""
_UPDATE = re.compile(rf"{re.escape(PREFIX)}([a-zA-Z0-9_]+(?:\.[a-zA-Z0-9_]+)*)\.lora_([AB])\.weight", re.ASCII)

Tensor = NDArray[np.float32]


class Epoch(Frozen):
    """Mean losses of the rows of one epoch."""

    training: float
    validation: float


class AdapterFacts(Frozen):
    """Facts about an adapter: its base, and its training."""

    format: NonNegativeInt = 1
    base: Digest
    """Digest of the files of the model that was fine-tuned."""
    spec: FineTuneSpec
    layer: NonNegativeInt
    """Layer whose states were pooled in the training."""
    continuous: bool
    """True for labels that are numbers."""
    rows: NonNegativeInt
    """Number of rows that were trained on."""
    held_out: NonNegativeInt
    """Number of rows whose loss chose the epoch."""
    divided: Literal["units", "rows"] = "units"
    """Rows if whole units could not be held out; not part of the file if they were."""
    epochs: NonNegativeInt
    """Epoch whose weights were kept; 0 for those of the frozen model."""
    history: tuple[Epoch, ...]
    """Losses before the first epoch, and of each epoch."""


class Adapter:
    """Updates of a language model's weights, and the weights of ``pooling="attention"``.

    Parameters
    ----------
    tensors
        Arrays in float32 by name. ``base_model.model.<linear map>.lora_A.weight`` ``(rank, in)`` and
        ``….lora_B.weight`` ``(out, rank)``, as peft names them; ``pooling.weight`` ``(dim,)``.
    facts
        Base and training.

    Raises
    ------
    ValueError
        If names, shapes or numbers are not those of an adapter.
    """

    def __init__(self, tensors: Mapping[str, Tensor], facts: AdapterFacts) -> None:
        self.facts = facts
        self.tensors: Mapping[str, Tensor] = MappingProxyType({name: tensors[name] for name in sorted(tensors)})
        for name, tensor in self.tensors.items():
            if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
                raise ValueError(f"{name[:80]!r} has numbers that are not finite, or not in float32")
        self.updates: Mapping[str, tuple[Tensor, Tensor]] = MappingProxyType(self._updates())
        """Matrices A ``(rank, in)`` and B ``(out, rank)`` of each linear map, by its name."""
        has_pooling = facts.spec.pooling == "attention"
        if (self.pooling is not None) != has_pooling or (self.pooling is not None and self.pooling.ndim != 1):
            raise ValueError(f"{POOLING!r} and the pooling of its spec do not fit")
        if bool(self.updates) != (facts.spec.method == "lora"):
            raise ValueError("updates and the method of its spec do not fit")

    def __repr__(self) -> str:
        facts = self.facts
        kept = f"epoch {facts.epochs} of {max(0, len(facts.history) - 1)}"
        return f"<{type(self).__name__}: {facts.spec!r} on {facts.base[:8]}, {kept}>"

    def _updates(self) -> dict[str, tuple[Tensor, Tensor]]:
        matrices: dict[str, dict[str, Tensor]] = {}
        for name, tensor in self.tensors.items():
            if name == POOLING:
                continue
            match = _UPDATE.fullmatch(name)
            if match is None or tensor.ndim != 2:
                raise ValueError(f"{name[:80]!r} is no tensor of an adapter")
            matrices.setdefault(match[1], {})[match[2]] = tensor
        rank = self.facts.spec.rank
        for name, pair in matrices.items():
            if pair.keys() != {"A", "B"} or not pair["A"].shape[0] == pair["B"].shape[1] == rank:
                raise ValueError(f"the matrices of {name[:80]!r} are not two of rank {rank}")
        return {name: (pair["A"], pair["B"]) for name, pair in matrices.items()}

    @property
    def pooling(self) -> Tensor | None:
        """Weights ``(dim,)`` of ``pooling="attention"``; None for mean pooling."""
        return self.tensors.get(POOLING)

    @property
    def scale(self) -> float:
        """Factor of the updates."""
        return self.facts.spec.alpha / self.facts.spec.rank

    @cached_property
    def content(self) -> bytes:
        """The bytes of its file, the same for the same tensors and facts."""
        later = {"divided"} if self.facts.divided == "units" else set()
        plain = self.facts.model_dump(mode="json", exclude=later)
        facts = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        header: dict[str, Any] = {"__metadata__": {_METADATA: facts}}
        end = 0
        for name, tensor in self.tensors.items():
            header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + tensor.nbytes]}
            end += tensor.nbytes
        text = json.dumps(header, separators=(",", ":")).encode("ascii")
        text += b" " * (-len(text) % 8)
        rows = (np.ascontiguousarray(tensor, "<f4").tobytes() for tensor in self.tensors.values())
        return b"".join([struct.pack("<Q", len(text)), text, *rows])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `content`, 64 hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()

    def refuse_other_layers(self, views: Iterable[ResolvedExtractorSpec]) -> None:
        """Raise a CheckpointError if ``pooling="attention"`` reads another layer than in the training."""
        for view in views:
            if view.pooling == "attention" and (self.pooling is None or view.layer != self.facts.layer):
                trained = "no pooling" if self.pooling is None else f"the pooling of layer {self.facts.layer}"
                raise CheckpointError(
                    f"the adapter {self.digest} has {trained}, and pooling='attention' reads layer {view.layer}", NAME
                )

    def save(self, path: Path | str) -> None:
        """Write a file of safetensors, completely or not at all."""
        write(Path(path), self.content)

    @classmethod
    def read(cls, path: Path | str, folder: Path | None = None) -> "Adapter":
        """Return the adapter of a file. No code of the file is run.

        Parameters
        ----------
        path
            Path of the file.
        folder
            Folder that must hold the file after symbolic links are followed.

        Raises
        ------
        CheckpointError
            If the file is no adapter that `save` wrote: damaged, too large, of another kind or form.
        OSError
            If it cannot be read.
        """
        path = Path(path)
        try:
            return cls.parse(read_regular(path, LARGEST, folder))
        except ValueError as error:
            raise CheckpointError(f"{path.name} is no adapter: {error}", path.name, None, [str(path)]) from error

    @classmethod
    def parse(cls, content: bytes) -> "Adapter":
        """Return the adapter of a file's bytes. Raises ValueError if `save` does not write such bytes."""
        length = int.from_bytes(content[:8], "little")
        if len(content) < 8 or length > min(_HEADER, len(content) - 8):
            raise LimitError("its header is damaged or too long")
        header = parse_json(content[8 : 8 + length], 20 * _MOST)
        if not isinstance(header, dict) or not 0 < len(header) <= _MOST:
            raise LimitError("its header is damaged")
        metadata = header.pop("__metadata__", None)
        if not isinstance(metadata, dict) or metadata.keys() != {_METADATA}:
            raise LimitError("it has no facts of this package in its header")
        try:
            facts = AdapterFacts.model_validate_json(metadata[_METADATA])
        except (ValidationError, TypeError) as error:
            raise LimitError(f"its facts are not valid: {str(error)[:300]}") from error
        if facts.format != 1:
            raise LimitError(f"it has format {facts.format}, and this version reads format 1")
        body, tensors, end = memoryview(content)[8 + length :], {}, 0
        for name, entry in header.items():
            shape, end = _checked(name, entry, end, len(body))
            tensors[name] = np.frombuffer(body[end - 4 * int(np.prod(shape)) : end], "<f4").reshape(shape)
        adapter = cls(tensors, facts)
        if adapter.content != content:
            raise LimitError("it has another form than that of this package")
        return adapter


def _checked(name: str, entry: Any, start: int, size: int) -> tuple[tuple[int, ...], int]:
    """Return shape and end of a tensor that begins where the one before it ends. Raises LimitError for any other."""
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or not 1 <= len(shape) <= 2 or entry.get("dtype") != "F32":
        raise LimitError(f"{name[:80]!r} is no matrix in float32")
    if not all(type(length) is int and 0 < length <= LARGEST for length in shape):
        raise LimitError(f"{name[:80]!r} has the shape {str(shape)[:80]}")
    numbers = 1
    for length in shape:
        numbers *= length
    end = start + 4 * numbers
    if end > size or entry.get("data_offsets") != [start, end]:
        raise LimitError(f"{name[:80]!r} is not where its header declares it")
    return tuple(shape), end
