"""Control tokens that a spec writes around a sequence and between two chains."""

from collections.abc import Collection, Mapping
from string import ascii_uppercase
from typing import Literal, Protocol


class Controls(Protocol):
    """Fields of an `ExtractorSpec` that are input of the model beside the residues."""

    @property
    def prefix(self) -> str | None: ...  # noqa: D102  see `ExtractorSpec`, also below
    @property
    def suffix(self) -> str | None: ...  # noqa: D102
    @property
    def separator(self) -> str | None: ...  # noqa: D102
    @property
    def pairs(self) -> Literal["apart", "joined"]: ...  # noqa: D102


def takes_room(spec: Controls) -> bool:
    """Return True if a spec may have more tokens than start, end and one between two chains."""
    return spec.prefix is not None or spec.suffix is not None or (spec.pairs == "joined" and bool(spec.separator))


def control_tokens(
    text: str,
    numbers: Mapping[str, int],
    residues: Collection[int],
    refused: Collection[int | None],
    whole: Collection[str] = (),
) -> tuple[int, ...]:
    """Return the tokens of a text that consists of whole tokens, with or without blanks between.

    The longest token is taken first. The number of each is that of the vocabulary, whatever the tokenizer would make of
    the text: IgLM's would read its ``[HEAVY]`` as three unknown tokens.

    Parameters
    ----------
    numbers
        Vocabulary.
    residues
        Numbers of amino acids. A control token without its brackets would be read as residues, so these and all other
        capital letters are refused.
    refused
        Numbers of other tokens without a meaning of their own: unknown, padding, mask.
    whole
        Special and added tokens. Other tokens of several capital letters are pieces of sequences, and refused too.

    Raises
    ------
    ValueError
        If a part of the text is no token, or one that is refused.

    Examples
    --------
    >>> control_tokens("[HEAVY] [HUMAN]", {"[HEAVY]": 31, "[HUMAN]": 26, "H": 11}, {11}, {0, 1})
    (31, 26)
    """
    tokens = []
    for piece in text.split():
        start = 0
        while start < len(piece):
            end = next((end for end in range(len(piece), start, -1) if piece[start:end] in numbers), None)
            if end is None:
                raise ValueError(f"has no token {piece[start:]!r}")
            token = piece[start:end]
            if numbers[token] in residues or _is_piece(token, whole):
                reading = "a residue" if len(token) == 1 else "residues"
                raise ValueError(
                    f"reads {token!r} there as {reading}; write control tokens whole, as in '[NLU]' or '<AA2fold>'"
                )
            if numbers[token] in refused:
                raise ValueError(f"has {token!r} as a token for padding, hidden or unknown residues")
            tokens.append(numbers[token])
            start = end
    return tuple(tokens)


def _is_piece(token: str, whole: Collection[str]) -> bool:
    """Return True for a piece of a sequence: capital letters alone."""
    return set(token) <= set(ascii_uppercase) and (len(token) == 1 or token not in whole)
