"""Shapes in the headers of weight files, with which ``config.json`` must agree before a model is built."""

import re
from pathlib import Path
from typing import Any

from antibody_esm.errors import CRAFTED
from antibody_esm.limits import LimitError, parse_json
from antibody_esm.plm.archives import read_shapes
from antibody_esm.plm.checkpoints import Checkpoint, reason

_HEADER = 64 * 10**6
_TABLE = 2**16
"""Largest number of positions in a table that weight files need not have."""
_NAME = re.compile(r"[\w./:-]+(?:\.\*\.[\w./:-]+)*", re.ASCII)
"""Names of tensors, which transformers takes for regular expressions; it writes ``.*.`` for the number of any layer."""
_COMPUTED_TABLE = 2**13
_WIDTHS = ("hidden_size", "d_model", "intermediate_size", "d_ff", "vocab_size", "relative_attention_num_buckets")

Shapes = dict[str, tuple[int, ...]]


def check_sizes(checkpoint: Checkpoint, layers: str | None, computed: bool = False) -> None:
    """Compare the sizes of a checkpoint's configuration with the shapes of its weights.

    Parameters
    ----------
    checkpoint
        Checkpoint; only the headers of its weights are read.
    layers
        Path of the layers in the model; None compares widths alone.
    computed
        True if a table of positions is computed.

    Raises
    ------
    CheckpointError
        If a header is damaged, or the configuration has other sizes.
    """
    if checkpoint.converter is not None:  # the converter compares every shape
        return
    shapes: Shapes = {}
    for name, path in checkpoint.files.items():
        try:
            if name.endswith(".safetensors"):
                shapes |= _of_safetensors(path)
            elif name.endswith(".bin"):
                shapes |= _of_torch(path)
        except CRAFTED as error:
            raise checkpoint.error(f"its weights cannot be loaded: {reason(error)}") from error
    if (odd := next((name for name in shapes if not _NAME.fullmatch(name)), None)) is not None:
        raise checkpoint.error(f"its weights cannot be loaded: the name {odd[:80]!r} of a tensor has odd characters")
    if layers is not None:
        where = re.compile(rf"(?:^|\.){re.escape(layers)}\.(\d+)\.")
        stored = {match[1] for match in map(where.search, shapes) if match}
        if len(stored) != checkpoint.layers:
            absent = next((n for n in range(checkpoint.layers) if str(n) not in stored), None)
            random = "" if absent is None else f"; weights would be random in {layers}.{absent}"
            raise checkpoint.error(
                f"its config.json has {checkpoint.layers} layers and its weights have {len(stored)}{random}"
            )
    elif checkpoint.layers > len(shapes):
        raise checkpoint.error(f"its config.json has {checkpoint.layers} layers and its weights {len(shapes)} tensors")
    _check_widths(checkpoint, {length for shape in shapes.values() for length in shape}, computed)


def _check_widths(checkpoint: Checkpoint, lengths: set[int], computed: bool) -> None:
    config = checkpoint.config
    for name in _WIDTHS:
        if isinstance(config.get(name), int) and config[name] not in lengths:
            raise checkpoint.error(f"its config.json has {name} {config[name]}, and no weight has that length")
    if {"d_kv", "num_heads"} <= config.keys() and config["d_kv"] * config["num_heads"] not in lengths:
        raise checkpoint.error("no weight is as long as its config.json's d_kv times num_heads")
    most = _COMPUTED_TABLE if computed else _TABLE
    for positions in (config.get("max_position_embeddings"), config.get("n_positions")):
        if isinstance(positions, int) and positions > most and (computed or positions not in lengths):
            raise checkpoint.error(f"its config.json has {positions} positions, and no weight has that length")


def _of_safetensors(path: Path) -> Shapes:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _HEADER:
            raise LimitError("the header of a safetensors file is damaged or too long")
        header = parse_json(file.read(length))
    if not isinstance(header, dict):
        raise LimitError("the header of a safetensors file is damaged")
    return {name: _shape(entry) for name, entry in header.items() if name != "__metadata__"}


def _shape(entry: Any) -> tuple[int, ...]:
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or not all(isinstance(length, int) and length >= 0 for length in shape):
        raise LimitError("a tensor of a safetensors file has no shape")
    return tuple(shape)


def _of_torch(path: Path) -> Shapes:
    import torch

    weights = read_shapes(path)
    return {str(name): tuple(tensor.shape) for name, tensor in weights.items() if isinstance(tensor, torch.Tensor)}
