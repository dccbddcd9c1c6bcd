"""A chain with its contributions: as axes, as terminal text, as a page; and the names of its residues."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import strategies
from antibody_esm.explain import Contributions
from antibody_esm.explain.sites import named, sites
from antibody_esm.reports.figures import COLOURS
from chains import HEAVY, LIGHT, LINKER, NANOBODY

ANSI = re.compile(r"\x1b\[[0-9;]*m")
LOOP = "AADAGVYVISYLVDY"  # CDR3 of the nanobody: two insertions


def contributions(sequence: str, seed: int = 0) -> Contributions:
    values = np.random.default_rng(seed).normal(size=len(sequence.replace("|", "")))
    return Contributions(sequence, values, -0.5, values.sum() - 0.5, "exact", "logit")


@pytest.fixture
def ax() -> Axes:
    return Figure(figsize=(12, 3)).subplots()


def test_bars_are_the_contributions_and_colours_their_signs(ax: Axes) -> None:
    found = contributions(NANOBODY)
    assert found.plot(ax) is ax
    np.testing.assert_array_equal([bar.get_height() for bar in ax.patches[: len(NANOBODY)]], found.contributions)
    raised = ax.patches[int(np.argmax(found.contributions))].get_facecolor()
    lowered = ax.patches[int(np.argmin(found.contributions))].get_facecolor()
    named_colour = Figure().subplots().bar([0, 1], [1, 1], color=[COLOURS["orange"], COLOURS["blue"]])
    assert [raised, lowered] == [bar.get_facecolor() for bar in named_colour]


def test_loops_are_shaded_where_they_are_and_residues_stand_below(ax: Axes) -> None:
    contributions(NANOBODY).plot(ax)
    start = NANOBODY.index(LOOP)
    shade = ax.patches[-1]
    assert (shade.get_x(), shade.get_width()) == (start - 0.5, len(LOOP))
    said = [one.get_text() for one in ax.texts]
    assert said[:3] == ["CDR1", "CDR2", "CDR3"]
    assert "".join(said[3:]) == NANOBODY
    ticks = dict(zip((label.get_text() for label in ax.get_xticklabels()), ax.get_xticks(), strict=True))
    assert ticks["104"] == start - 1
    assert ticks["118"] == start + len(LOOP)
    assert ax.get_xlabel() == "IMGT position"


def test_letters_that_do_not_fit_are_left_out() -> None:
    narrow = Figure(figsize=(3, 2)).subplots()
    contributions(NANOBODY).plot(narrow)
    assert [one.get_text() for one in narrow.texts] == ["CDR1", "CDR2", "CDR3"]


def test_loops_of_a_pair_are_named_by_chain(ax: Axes) -> None:
    contributions(f"{HEAVY}|{LIGHT}").plot(ax)
    assert {"H-CDR1", "H-CDR3", "L-CDR1", "L-CDR3"} <= {one.get_text() for one in ax.texts}
    shade = ax.patches[-1]
    assert shade.get_x() == len(HEAVY) + LIGHT.index("QQHYTTPPT") - 0.5


def test_a_sequence_that_is_no_domain_has_plain_numbers(ax: Axes) -> None:
    found = contributions("ACDEFGHIKLMNPQRSTVWY")
    found.plot(ax)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "10", "20"]
    assert ax.get_xlabel() == "residue"
    assert re.search(r"^ +1-20 +ACDEFGHIKLMNPQRSTVWY ", str(found), flags=re.M)


@pytest.mark.parametrize("sequence", [NANOBODY, f"{HEAVY}|{LIGHT}", HEAVY + LINKER + LIGHT, "ACDEF" * 30])
def test_text_fits_in_80_columns_and_holds_every_residue_once(sequence: str) -> None:
    found = contributions(sequence)
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert ANSI.search(str(found)) is None
    coloured = found.to_text(color=True)
    assert ANSI.search(coloured)
    assert ANSI.sub("", coloured).replace(" \n", "\n").split() == str(found).split()
    residues = "".join(re.findall(r"^.{15}([A-Z]+) +[+-]\d", str(found), flags=re.M))
    assert residues == sequence.replace("|", "")


def test_text_says_the_sum_of_each_region_and_marks_residues() -> None:
    found = contributions(NANOBODY)
    start = NANOBODY.index(LOOP)
    inside = found.contributions[start : start + len(LOOP)]
    lines = str(found).splitlines()
    (row,) = [i for i, line in enumerate(lines) if line.startswith("CDR3 105-117")]
    assert float(lines[row][-8:]) == pytest.approx(inside.sum(), abs=1e-3)
    marks = lines[row + 1][15:].ljust(len(LOOP))
    for mark, value in zip(marks, inside, strict=True):
        assert mark in ("▲△ " if value > 0 else "▼▽ ")
    strongest = int(np.argmax(np.abs(inside)))
    assert marks[strongest] != " "


def test_a_page_loads_nothing_holds_every_residue_and_follows_the_dark(tmp_path: Path) -> None:
    found = contributions(f"{HEAVY}|{LIGHT}")
    page = found.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert found._repr_html_() in page
    assert "".join(re.findall(r"<b>(.)</b>", page)) == HEAVY + LIGHT
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|<script|url\(|\bsrc=", page)
    assert "prefers-color-scheme: dark" in page
    assert f"title='S CDR3 105: {found.contributions[HEAVY.index('SRWGG')]:+.4f}'" in page


def test_the_table_has_a_row_a_residue() -> None:
    found = contributions(NANOBODY)
    table = found.to_frame()
    assert list(table) == ["chain", "index", "position", "region", "residue", "contribution"]
    assert "".join(table["residue"][table["region"] == "CDR3"]) == LOOP
    assert {"111A", "112A"} <= set(table["position"])
    np.testing.assert_array_equal(table["contribution"], found.contributions)


def residues(sequence: str, positions: object) -> str:
    return "".join(site.residue for site in named(sites(sequence), positions))


def test_names_mean_the_residues_that_imgt_gives_them() -> None:
    assert residues(NANOBODY, "CDR3") == residues(NANOBODY, "105-117") == LOOP
    assert residues(NANOBODY, "cdr1, cdr3") == residues(NANOBODY, ["CDR3", "CDR1"]) == "GIIFYVYA" + LOOP
    assert residues(NANOBODY, "111A") == LOOP[7]
    assert residues(NANOBODY, "CDRs,frameworks") == NANOBODY
    assert residues(NANOBODY, range(4)) == "QVQL"
    both = f"{HEAVY}|{LIGHT}"
    assert residues(both, "CDR3") == "SRWGGDGFYAMDY" + "QQHYTTPPT"
    assert residues(both, "L:CDR3") == residues(HEAVY + LINKER + LIGHT, "l:cdr3") == "QQHYTTPPT"
    assert residues(both, "H:104,L:118") == "CF"
    assert residues(both, [len(HEAVY)]) == LIGHT[0]


@pytest.mark.parametrize("name", ["CDR4", "H:", "105-", "", "Q:27", "0x1"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no residues"):
        named(sites(HEAVY), [name])


@pytest.mark.parametrize("name", ["L:CDR3", "111A", "10", 120, -1])
def test_residues_that_are_not_there_are_an_error(name: str | int) -> None:
    with pytest.raises(ValueError, match="there is no residue"):
        named(sites(HEAVY), [name])
    with pytest.raises(ValueError, match="no variable domain was recognised"):
        named(sites("ACDEF"), ["CDR3"])


@given(st.lists(strategies.sequences(max_size=60), min_size=1, max_size=2))
def test_every_residue_has_one_site(chains: list[str]) -> None:
    text = "|".join(chains)
    every = sites(text)
    assert "".join(site.residue for site in every) == "".join(chains)
    assert all(text[site.place] == site.residue for site in every)
