"""Marks of liabilities in the picture of an antibody."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from antibody_esm.design.panel import Severity
from antibody_esm.explain.sites import Site
from antibody_esm.reports.figures import COLOURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_HEIGHT = 0.96
"""Height of the marks, as a share of the axes."""


def mark_liabilities(
    ax: "Axes",
    sites: Sequence[Site],
    table: "pd.DataFrame",
    severities: Sequence[Severity] = ("high", "medium"),
) -> "Axes":
    """Mark liabilities on an axis that counts the residues of an antibody, and return the axes.

    Parameters
    ----------
    ax
        Axes of `Contributions.plot` or `Scan.plot`.
    sites
        Residues in the picture, `Contributions.sites`. Liabilities at other residues are not marked.
    table
        Result of `liabilities` for this antibody.
    severities
        Severities that are marked: high ones by a filled triangle, all others by an empty one.

    Examples
    --------
    ::

        contributions = residue_contributions(predictor, heavy)
        mark_liabilities(contributions.plot(), contributions.sites, liabilities(heavy))
    """
    places = {(site.chain, site.position): i for i, site in enumerate(sites) if site.position}
    for severity in severities:
        rows = table[table["severity"] == severity]
        marked = sorted({places.get(key, -1) for key in zip(rows["chain"], rows["position"], strict=True)} - {-1})
        if marked:
            ax.scatter(
                marked,
                [_HEIGHT] * len(marked),
                marker="v",
                s=28,
                facecolors=COLOURS["ink"] if severity == "high" else "none",
                edgecolors=COLOURS["ink"],
                linewidths=0.8,
                transform=ax.get_xaxis_transform(),
                label=f"{severity} liability",
                zorder=3,
            )
    return ax
