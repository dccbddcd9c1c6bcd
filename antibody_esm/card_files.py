"""Files of model cards: a card that nobody changed is replaced by the next one, every other README stays.

A card ends with a digest of its text. No model is read from it, so an edited card, or none, changes nothing else.
"""

import hashlib
import re
from pathlib import Path

CARD = "README.md"
"""Name of a card's file, which the hub shows."""
_SEAL = re.compile(rb"\n<!-- antibody_esm card, SHA-256 of the text above: ([0-9a-f]{64}) -->\n\Z")
_MOST = 10**6
"""Most bytes of a card."""


def sealed(text: str) -> bytes:
    r"""Return a card with its digest at the end, in a comment that is not shown.

    Examples
    --------
    >>> is_card(sealed("# A model\n")), is_card(b"# My own page\n")
    (True, False)
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text}\n<!-- antibody_esm card, SHA-256 of the text above: {digest} -->\n".encode()


def is_card(content: bytes) -> bool:
    """Return True for a card as it was written; False for an edited one, and for every other file."""
    seal = _SEAL.search(content)
    return seal is not None and hashlib.sha256(content[: seal.start()]).hexdigest().encode() == seal[1]


def is_free(folder: Path) -> bool:
    """Return True if a folder has no README, or only a card that may be replaced."""
    path = folder / CARD
    try:
        if not path.is_symlink() and path.is_file():
            return path.stat().st_size <= _MOST and is_card(path.read_bytes())
        return not path.is_symlink() and not path.exists()
    except OSError:
        return False


KEPT = f"; {CARD} there is not a card as it was written, and stays"
"""End of a description of a folder whose README is its user's."""


def leave_readmes(new: Path, earlier: Path) -> str:
    """Remove the cards of a new folder where the earlier one has its user's README; return what to say of it."""
    others = [card for card in new.rglob(CARD) if not is_free((earlier / card.relative_to(new)).parent)]
    for card in others:
        card.unlink()
    return KEPT if others else ""
