"""Marks of liabilities in the picture of an antibody."""

from collections.abc import Iterator

import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes

from antibody_esm import liabilities
from antibody_esm.design import mark_liabilities
from antibody_esm.explain.sites import sites
from chains import HEAVY, LIGHT


@pytest.fixture
def ax() -> Iterator[Axes]:
    figure, axes = pyplot.subplots()
    yield axes
    pyplot.close(figure)


def marked(ax: Axes) -> dict[str, list[int]]:
    return {str(marks.get_label()): [int(x) for x, _ in marks.get_offsets()] for marks in ax.collections}


def test_high_and_medium_liabilities_are_marked_at_their_residues(ax: Axes) -> None:
    text = f"{HEAVY}|{LIGHT}"
    table = liabilities([text])
    assert mark_liabilities(ax, sites(text), table) is ax
    marks = marked(ax)
    assert set(marks) == {"high liability", "medium liability"}
    assert marks["high liability"] == [54, 101]
    assert len(HEAVY) + 29 in marks["medium liability"], "asparagine 30 of the light chain"
    filled, empty = ax.collections
    assert len(filled.get_facecolor()) == 1
    assert len(empty.get_facecolor()) == 0


def test_only_residues_in_the_picture_are_marked(ax: Axes) -> None:
    loop = [site for site in sites(HEAVY) if site.region == "CDR3"]
    mark_liabilities(ax, loop, liabilities([(HEAVY, LIGHT)]), ("high",))
    assert marked(ax) == {"high liability": [5]}  # aspartate 102


def test_nothing_is_marked_if_nothing_is_there(ax: Axes) -> None:
    mark_liabilities(ax, sites(HEAVY), liabilities([HEAVY]).head(0))
    assert marked(ax) == {}
