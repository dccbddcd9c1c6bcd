"""Texts of antibodies as rows of numbers, and back: features of a language model that is fine-tuned in the folds."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.sequences import ALPHABET, BETWEEN

_LETTERS = ALPHABET + BETWEEN
_CODES = np.full(256, -1)
_CODES[list(_LETTERS.encode("ascii"))] = np.arange(1, len(_LETTERS) + 1)
_BYTES = np.frombuffer(b"\0" + _LETTERS.encode("ascii"), np.uint8)


def encode(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return one row of codes for each text, ``(n, longest)``: 1 to 22 for a letter, 0 behind the last one.

    Rows may be padded with more zeros, so rows of several calls have one width. Raises ValueError for an empty text,
    and for letters that no text in normal form has.

    Examples
    --------
    >>> encode(["ACD", "A|C"]).astype(int).tolist()
    [[1, 2, 3], [1, 22, 2]]
    """
    codes = np.zeros((len(texts), max(map(len, texts), default=0)))
    for row, text in zip(codes, texts, strict=True):
        numbers = _CODES[np.frombuffer(text.encode("latin-1", "replace"), np.uint8)]
        if not text or numbers.min() < 1:
            raise ValueError(f"{text[:40]!r} is no text of an antibody in normal form")
        row[: len(text)] = numbers
    return codes


def decode(codes: NDArray[np.float64]) -> list[str]:
    """Return the texts of rows of codes ``(n, width)``.

    Raises
    ------
    ValueError
        If a row is none that `encode` returns, padded or not.

    Examples
    --------
    >>> decode(np.array([[1.0, 2.0, 3.0, 0.0], [1.0, 22.0, 2.0, 0.0]]))
    ['ACD', 'A|C']
    """
    numbers = np.asarray(codes, np.float64)
    whole = np.nan_to_num(numbers, nan=-1, posinf=-1, neginf=-1).astype(np.int64)
    padded = whole == 0
    if numbers.ndim != 2 or not np.array_equal(whole, numbers) or whole.min(initial=0) < 0:
        raise ValueError("features are no codes of residues")
    if whole.max(initial=0) > len(_LETTERS) or (padded[:, :-1] & ~padded[:, 1:]).any() or padded.all(axis=1).any():
        raise ValueError("features are no codes of residues")
    lengths = (~padded).sum(axis=1)
    letters = _BYTES[whole]
    return [row[:length].tobytes().decode("ascii") for row, length in zip(letters, lengths, strict=True)]
