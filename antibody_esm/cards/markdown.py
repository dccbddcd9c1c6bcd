"""Text of users in Markdown: names of columns, files and labels are shown as they are, and format nothing."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST = 300
"""Most characters of a name that a card shows."""
_SENTENCE = 2_000
"""Most characters of a sentence."""
_SPECIAL = re.compile(r"[\\`*_\[\]<>&|~$@]|(?<=[wW])\.|:(?=\S)")
"""Characters that CommonMark, tables, links without brackets, formulas or emoji codes read. Points and colons count in
addresses only."""
_START = re.compile(r"^(?:([-+#=])|(\d{1,9})([.)]))")
"""Beginnings of a line that make a list, a heading or a rule."""


def one_line(text: str, longest: int = LONGEST) -> str:
    r"""Return a text in one line without invisible characters, cut to so many characters.

    Examples
    --------
    >>> one_line("two\nlines and a\x00byte")
    'two lines and abyte'
    """
    visible = "".join(sign for sign in text if sign.isspace() or unicodedata.category(sign)[0] != "C")
    words = " ".join(visible.split())
    return words if len(words) <= longest else f"{words[: longest - 3].rstrip()}..."


def code(text: str) -> str:
    """Return a name as a code span, in which nothing has a meaning.

    A name with a bar, which would end a cell of a table there, is escaped text instead.

    Examples
    --------
    >>> code("HIC <b>"), code("a`b"), code("`"), code("")
    ('`HIC <b>`', '``a`b``', '`` ` ``', '(empty)')
    """
    plain = one_line(text)
    if not plain:
        return "(empty)"
    if "|" in plain:
        return prose(plain)
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    space = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{space}{plain}{space}{fence}"


def prose(text: str) -> str:
    r"""Return a sentence that may hold names of users, with every character escaped that has a meaning.

    Examples
    --------
    >>> print(prose("ROC AUC of <b> & [x](y): .81"))
    ROC AUC of \<b\> \& \[x\](y): .81
    """
    plain = _SPECIAL.sub(lambda match: f"\\{match[0]}", one_line(text, _SENTENCE))
    return _START.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", plain)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, whose cells are Markdown already."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
