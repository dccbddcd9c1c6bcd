"""Links of the works that this package itself cites; no other text becomes a link."""

import html
import re

DOIS = frozenset(
    {
        "10.7554/eLife.61393",
        "10.1073/pnas.1616408114",
        "10.1016/j.celrep.2019.08.056",
        "10.1038/s41467-022-35276-4",
    }
)
"""DOIs in provenances and notes of this package."""
ADDRESSES = frozenset({"https://jmlr.org/papers/v5/grandvalet04a.html"})
"""Addresses of works without a DOI in its notes."""

_CITED = re.compile(
    "|".join(
        [*(rf"\bdoi:(?P<doi{n}>{re.escape(doi)})(?![\w/])" for n, doi in enumerate(sorted(DOIS)))]
        + [rf"(?P<address{n}>{re.escape(text)})" for n, text in enumerate(sorted(ADDRESSES))]
    )
)


def linked(text: str) -> str:
    """Return a text as HTML, in which citations of this package are links.

    A text of a user is escaped like any other. Even if it is one of these citations, the link leads to the cited work.

    Examples
    --------
    >>> linked("<b>, doi:10.7554/eLife.61393")
    '&lt;b&gt;, <a href="https://doi.org/10.7554/eLife.61393" rel="noreferrer">doi:10.7554/eLife.61393</a>'
    >>> linked("doi:10.1000/mine")
    'doi:10.1000/mine'
    """
    return _CITED.sub(_link, html.escape(text))


def _link(match: re.Match[str]) -> str:
    target = next(value for value in match.groupdict().values() if value)
    address = target if target in ADDRESSES else f"https://doi.org/{target}"
    return f'<a href="{address}" rel="noreferrer">{match[0]}</a>'
