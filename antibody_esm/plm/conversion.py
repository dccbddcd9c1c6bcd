"""Files that transformers does not read: protocol of their conversion."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Surroundings(NamedTuple):
    """Tokens of a kind of input: before, between and after its chains."""

    start: tuple[int, ...]
    between: tuple[int, ...]
    """Tokens between two chains; none for a single chain."""
    end: tuple[int, ...]


class TokenTable(NamedTuple):
    """Tokens of a model, as its authors write sequences."""

    numbers: Mapping[str, int]
    """Token of each amino acid, of X and of ``<mask>``."""
    single: Surroundings
    pair: Surroundings | None = None
    """Tokens around a pair; None if the model reads single chains only."""


class Conversion(Protocol):
    """Conversion of a model's files to ``config.json`` and ``model.safetensors``."""

    @property
    def name(self) -> str:
        """Name and version, part of the model's digest."""

    @property
    def weights(self) -> str:
        """Name of the file of weights."""

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the other files."""

    def config_of(self, files: Mapping[str, Path]) -> dict[str, Any]:
        """Return the content of ``config.json``. Raises ValueError or OSError if a file does not have it."""

    def table(self, files: Mapping[str, Path]) -> TokenTable:
        """Return the tokens. Raises ValueError or OSError if a file does not have them."""

    def write(self, files: Mapping[str, Path], folder: Path) -> None:
        """Write the converted files; without the file of weights ``config.json`` only. Raises errors of `CRAFTED`."""

    def model_class(self, name: str) -> Any:
        """Return the class of torch in place of transformers' class of a name; None to take that."""
