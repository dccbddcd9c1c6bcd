"""Liabilities in explanations and scans: the same as those of whole antibodies, in every picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot

from antibody_esm import Dataset, DescriptorSpec, Predictor, Trainer, liabilities
from antibody_esm.design import liability_columns, with_liabilities
from antibody_esm.explain import Contributions, Scan, mutational_scan, residue_contributions
from chains import HEAVY, LIGHT, NANOBODY, mutants
from effort import examples

HEAVIES, LIGHTS = mutants(HEAVY, 40, 12), mutants(LIGHT, 40, 12, seed=1)
CLASSES = [i % 2 for i in range(40)]
IDS = [f"a{i}" for i in range(40)]
HIGH = "NG at H62 (deamidation), DG at H110 (isomerisation)"


def fitted(data: Dataset) -> Predictor:
    return Trainer(DescriptorSpec(), "logreg").fit(data, uncertainty=False)


@pytest.fixture(scope="module")
def pairs() -> Predictor:
    return fitted(Dataset(IDS, HEAVIES, LIGHTS, label=CLASSES, chain="paired"))


@pytest.fixture(scope="module")
def loops() -> Predictor:
    return fitted(Dataset(IDS, HEAVIES, label=CLASSES).cut("H-CDR3"))


@pytest.fixture(scope="module")
def explained(pairs: Predictor) -> Contributions:
    return with_liabilities(residue_contributions(pairs, (HEAVY, LIGHT)))


@pytest.fixture(scope="module")
def scan(pairs: Predictor) -> Scan:
    return with_liabilities(mutational_scan(pairs, (HEAVY, LIGHT), "CDR2"))


def counted(antibody: str) -> set[tuple[str, str, str]]:
    table = liabilities([antibody])
    table = table[table["severity"].isin(["medium", "high"])]
    return set(zip(*(map(str, table[name]) for name in ("motif", "chain", "position")), strict=True))


def names(text: str) -> set[str]:
    return set(filter(None, text.split("; ")))


def test_marks_are_the_liabilities_of_the_whole_antibody(explained: Contributions) -> None:
    assert isinstance(explained.marks, tuple)
    expected = {f"{motif} at {chain}{position}" for motif, chain, position in counted(f"{HEAVY}|{LIGHT}")}
    assert {mark.name for mark in explained.marks} == expected
    for mark in explained.marks:
        site = explained.sites[mark.site]
        assert mark.name.startswith(site.residue)
        assert mark.name.endswith(f"at {site.chain}{site.position}")


MODEL = [fitted(Dataset(IDS, HEAVIES, label=CLASSES))]


@examples(24)
@given(st.sampled_from([*HEAVIES[:20], NANOBODY]), st.sampled_from(["CDR1", "57-62", "107,108", "100-104"]))
def test_every_mutant_has_the_liabilities_that_the_search_reports_for_it(heavy: str, positions: str) -> None:
    table = with_liabilities(mutational_scan(MODEL[0], heavy, positions)).to_frame()
    before = {f"{motif} at {chain}{at}" for motif, chain, at in counted(heavy)}
    row: Any
    for row in table.iloc[:: max(1, len(table) // 6)].itertuples():
        mutant = heavy[: row.index] + row.mutant + heavy[row.index + 1 :]
        after = {f"{motif} at {chain}{at}" for motif, chain, at in counted(mutant)}
        assert row.liabilities == liability_columns([mutant])["liabilities"][0]
        places = {name.split(" at ")[1] for name in after}
        assert {name.split(" at ")[1] for name in before} - places <= {
            name.split(" at ")[1] for name in names(row.clears)
        }
        assert names(row.clears) <= before
        assert names(row.adds) <= after
        assert places - {name.split(" at ")[1] for name in before} <= {
            name.split(" at ")[1] for name in names(row.adds)
        }


def test_known_mutations_of_trastuzumab_clear_and_add(scan: Scan) -> None:
    table = scan.to_frame().set_index("mutation")
    assert [table.loc["H:G63A", name] for name in ("clears", "adds")] == ["NG at H62", ""]
    assert table.loc["H:Y64T", "adds"] == "NGT at H62"  # a site of N-glycosylation
    assert table.loc["L:A57N", "adds"] == "NS at L57"
    assert [table.loc["L:S56A", name] for name in ("clears", "adds")] == ["", ""]
    assert table["liabilities"].dtype == "Int64"


def test_the_order_and_numbers_of_a_scan_are_those_without_liabilities(pairs: Predictor, scan: Scan) -> None:
    plain = mutational_scan(pairs, (HEAVY, LIGHT), "CDR2")
    assert plain.marks is None
    added = ["liabilities", "clears", "adds"]
    pd.testing.assert_frame_equal(scan.to_frame().drop(columns=added), plain.to_frame())
    assert set(plain.to_frame()).isdisjoint(added)


def test_a_model_of_a_loop_has_the_liabilities_of_the_whole_chain(loops: Predictor) -> None:
    scan = with_liabilities(mutational_scan(loops, HEAVY))
    table = scan.to_frame()
    assert set(table.loc[table["position"] == "110", "clears"]) == {"DG at H110"}
    assert scan.table["liabilities"].max() >= len(counted(HEAVY))
    explained = with_liabilities(residue_contributions(loops, HEAVY))
    assert isinstance(explained.marks, tuple)
    assert {mark.name for mark in explained.marks} == {"W at H107", "DG at H110", "M at H115"}


def test_a_loop_alone_is_not_searched_and_every_picture_gives_the_reason(loops: Predictor, tmp_path: Path) -> None:
    reason = "no liabilities: no variable domain is recognised"
    explained = with_liabilities(residue_contributions(loops, "SRWGGDGFYAMDY"))
    assert reason in str(explained)
    assert reason in explained.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    scan = with_liabilities(mutational_scan(loops, "SRWGGDGFYAMDY"))
    assert str(scan).count(reason) == 1
    assert "liabilities" not in scan.table
    assert scan.absent["liabilities"] == "no variable domain is recognised"


def test_both_domains_of_a_single_chain_are_searched() -> None:
    single = HEAVY + "GGGGS" * 3 + LIGHT
    data = Dataset(IDS, [f"{a}GGGGSGGGGSGGGGS{b}" for a, b in zip(HEAVIES, LIGHTS, strict=True)], label=CLASSES)
    model = Trainer(DescriptorSpec(), "logreg").fit(data, uncertainty=False, check=False)
    explained = with_liabilities(residue_contributions(model, single, check=False))
    assert isinstance(explained.marks, tuple)
    assert {mark.name for mark in explained.marks} >= {"NG at H62", "DG at H110", "NT at L36"}


def test_text_has_the_marks_below_their_residues_in_80_columns(explained: Contributions, scan: Scan) -> None:
    lines = str(explained).splitlines()
    assert max(map(len, lines)) <= 80
    (at,) = [i for i, line in enumerate(lines) if line.startswith("CDR2 56-65     IYPTNGYT")]
    assert lines[at + 2][lines[at].index("NG")] == "◆"
    assert f"◆ high liability: {HIGH}" in lines
    lines = str(scan).splitlines()
    assert max(map(len, lines)) <= 80
    assert "◆ high liability: NG at H62 (deamidation)" in lines
    assert sum(" -1" in line or " +1" in line for line in lines) > 2


def test_a_page_has_the_marks_beside_their_residues(explained: Contributions, tmp_path: Path) -> None:
    text = explained.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<em>◆</em>") == 2
    assert "; deamidation (high)'" in text
    assert HIGH in text


def test_figures_mark_the_wild_type_and_the_mutants_that_add(explained: Contributions, scan: Scan) -> None:
    ax = explained.plot()
    marks = {str(each.get_label()): np.asarray(each.get_offsets())[:, 0].tolist() for each in ax.collections}
    assert marks["high liability"] == [54, 101]
    heat = scan.plot()
    (diamond,) = heat.collections
    column = [site.place for site in scan.sites].index(54)
    assert np.asarray(diamond.get_offsets()).tolist() == [[column, "KRHDENQSTGPCAVILMFYW".index("N")]]
    (crosses,) = [line for line in heat.lines if line.get_marker() == "x"]
    assert len(np.asarray(crosses.get_xdata())) == (scan.table["adds"] != "").sum()
    dots = next(line for line in heat.lines if line.get_marker() == ".")
    assert column not in np.asarray(dots.get_xdata()).tolist()
    pyplot.close("all")
