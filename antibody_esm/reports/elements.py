"""Elements of HTML pages: tables, lists of facts, sentences, and the page around them."""

import html
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from antibody_esm.reports.citations import linked


class Part(NamedTuple):
    """Part of a page below a heading, with an entry in its table of contents."""

    title: str
    body: str
    parts: tuple["Part", ...] = ()
    folded: bool = False
    """True hides all but the heading until a reader opens it."""


def rendered(parts: Sequence[Part]) -> list[str]:
    """Return the sections of a page; `contents` links to them."""
    return [_section(part, f"s{number}") for number, part in enumerate(parts, 1)]


def _section(part: Part, anchor: str) -> str:
    inner = "".join(
        f'<div class="part" id="{anchor}-{number}"><h3>{html.escape(inner.title)}</h3>{inner.body}</div>'
        for number, inner in enumerate(part.parts, 1)
    )
    heading, body = f"<h2>{html.escape(part.title)}</h2>", part.body + inner
    if part.folded:
        return f'<section id="{anchor}"><details><summary>{heading}</summary>{body}</details></section>'
    return f'<section id="{anchor}">{heading}{body}</section>'


def contents(parts: Sequence[Part]) -> str:
    """Return the table of contents of sections and their parts, as links that a keyboard reaches."""

    def entry(part: Part, anchor: str) -> str:
        inner = "".join(entry(each, f"{anchor}-{number}") for number, each in enumerate(part.parts, 1))
        link = f'<a href="#{anchor}">{html.escape(part.title)}</a>'
        return f"<li>{link}{f'<ul>{inner}</ul>' if inner else ''}</li>"

    entries = "".join(entry(part, f"s{number}") for number, part in enumerate(parts, 1))
    return f"<nav aria-label='Contents'><h2>Contents</h2><ol>{entries}</ol></nav>"


def sentence(text: str) -> str:
    """Return a sentence as HTML, in which intervals stay on one line, and citations are links."""
    return re.sub(r"\[[^\]]*\]", r"<span class='nobr'>\g<0></span>", linked(text))


def warning(text: str) -> str:
    """Return a paragraph that stands out."""
    return f"<p class='warn'>{sentence(text)}</p>"


def bullets(sentences: Sequence[str]) -> str:
    """Return a list of sentences; empty if there is none."""
    return f"<ul>{''.join(f'<li>{sentence(text)}</li>' for text in sentences)}</ul>" if sentences else ""


def table(heads: Sequence[str], lines: Sequence[tuple[str, list[str]]], caption: str, *, last: str = "") -> str:
    """Return a table.

    Parameters
    ----------
    heads
        Text of the column titles.
    lines
        Class and cells of each row; cells are HTML, and the first one is the title of the row.
    caption
        Text below the table.
    last
        Classes of the table; ``text`` for a last column of text.
    """
    shown = any(heads)
    head = "".join(f"<th scope='col'>{html.escape(title)}</th>" if title else "<td></td>" for title in heads)
    body = "".join(
        f"<tr class='{kind}'><th scope='row'>{first}</th>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for kind, (first, *cells) in lines
    )
    words = html.escape(caption)
    return (
        f"<figure class='table {last}'><div class='scroll' tabindex='0' role='region' aria-label='{words}'>"
        f"<table>{f'<thead><tr>{head}</tr></thead>' if shown else ''}<tbody>{body}</tbody></table></div>"
        f"<figcaption>{words}</figcaption></figure>"
    )


def facts(values: dict[str, str]) -> str:
    """Return a list of names and values, without empty values; citations are links."""
    lines = (f"<dt>{html.escape(name)}</dt><dd>{linked(value)}</dd>" for name, value in values.items() if value)
    return f"<dl>{''.join(lines)}</dl>"


def document(title: str, body: Sequence[str]) -> str:
    """Return a page of these sections, under a policy that forbids every load."""
    style = (files("antibody_esm.reports") / "page.css").read_text(encoding="utf-8")
    return _PAGE.format(title=html.escape(title), style=style, body="\n".join(body))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
