"""SVG elements of figures, with the colours and letters of the page."""

import html
import re
import warnings
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any

from antibody_esm.reports.figures import COLOURS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def svg(draw: Callable[["Axes"], object], name: str, description: str, size: tuple[float, float]) -> str:
    """Return a drawing as an SVG element; the same figure always gives the same bytes.

    Parameters
    ----------
    draw
        Draws on axes.
    name
        Distinct among the figures of a page; ids begin with it.
    description
        Content of the figure in words, for readers who cannot see it.
    size
        Width and height in inches; letters have 9 points, at 96 pixels an inch.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "svg.id": None, "path.simplify": True}
    with warnings.catch_warnings(), rc_context({**STYLE, **settings}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        figure.set_facecolor("none")
        for axes in figure.axes:
            axes.set_facecolor("none")
        written = StringIO()
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the page's fonts are the reader's
        # `Figure.savefig` would draw twice: once for the layout, which drawing makes too.
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(written, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", text, flags=re.S)
    text = re.sub(r"<[^>]+>", lambda tag: _of_the_page(tag[0], name), text)
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None  # noqa: S101  since matplotlib writes one
    width, height = (96 * inches for inches in size)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-label="{html.escape(description)}" viewBox="{box[1]}" width="{width:.0f}" height="{height:.0f}">'
    )
    return re.sub(r"\n\s*", "\n", opening + text[text.index(">") + 1 :]).strip()


def _of_the_page(tag: str, name: str) -> str:
    """Return a tag with ids that no other figure has, and with the page's colours and letters."""
    tag = re.sub(r"; font-family: [^;\"]*", "", tag)
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = tag.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for colour, value in COLOURS.items():
        tag = tag.replace(value, f"var(--{colour})")
    return tag
