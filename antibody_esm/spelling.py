"""Advice for names that are not there: the nearest one that is."""

from collections.abc import Iterable


def did_you_mean(name: object, names: Iterable[object], cutoff: float = 0.7) -> str:
    """Return "; did you mean 'esm2_8m'?" for a name that is nearly one of these; empty if none is near.

    Case and signs between letters do not count: ``ESM2-8M`` is near to ``esm2_8m``. `cutoff` is the lowest similarity,
    from 0 to 1.

    Examples
    --------
    >>> did_you_mean("logref", ["xgboost", "logreg"])
    "; did you mean 'logreg'?"
    >>> did_you_mean("ESM2-8M", ["esm2_8m", "esm2_35m"])
    "; did you mean 'esm2_8m'?"
    >>> did_you_mean("something", ["logreg"])
    ''
    """
    if not isinstance(name, str):
        return ""
    from difflib import get_close_matches  # only for errors

    by_text: dict[str, str] = {}
    for other in names:
        if isinstance(other, str):
            by_text.setdefault(_plain(other), other)
    near = get_close_matches(_plain(name), by_text, 1, cutoff)
    return f"; did you mean {by_text[near[0]]!r}?" if near else ""


def _plain(name: str) -> str:
    """Return the letters and digits of a name in small letters; the name itself if it has none."""
    return "".join(letter for letter in name.casefold() if letter.isalnum()) or name
