import numpy as np
import pytest

from antibody_esm import Dataset, DatasetError
from antibody_esm.data.parts import FRAGMENTS
from chains import HEAVY, LIGHT, LINKER, LYSOZYME, NANOBODY

DATA = Dataset(
    ids=["a", "b"],
    heavy=["MGWS" + HEAVY + "ASTKGPSVF", HEAVY],
    light=[LIGHT, LIGHT + "RTVAAPS"],
    label=[0, 1],
    groups=["x", "y"],
    measurements={"psr": [0.1, 0.2]},
)


def test_the_sixteen_fragments_and_a_nanobodys() -> None:
    assert list(FRAGMENTS) == [
        *("VH", "VL", "VHH", "H-CDR1", "H-CDR2", "H-CDR3", "L-CDR1", "L-CDR2", "L-CDR3"),
        *("H-CDRs", "L-CDRs", "H-FWRs", "L-FWRs", "VH+VL", "All-CDRs", "All-FWRs", "Full"),
    ]
    cut = {fragment: DATA.cut(fragment).sequences[0] for fragment in FRAGMENTS}
    assert cut["VH"] == cut["VHH"] == HEAVY
    assert cut["VL"] == LIGHT
    assert (cut["H-CDR1"], cut["H-CDR2"], cut["H-CDR3"]) == ("GFNIKDTY", "IYPTNGYT", "SRWGGDGFYAMDY")
    assert (cut["L-CDR1"], cut["L-CDR2"], cut["L-CDR3"]) == ("QDVNTA", "SAS", "QQHYTTPPT")
    assert cut["H-CDRs"] == cut["H-CDR1"] + cut["H-CDR2"] + cut["H-CDR3"]
    assert cut["L-CDRs"] == cut["L-CDR1"] + cut["L-CDR2"] + cut["L-CDR3"]
    assert cut["VH+VL"] == cut["Full"] == HEAVY + LIGHT
    assert cut["All-CDRs"] == cut["H-CDRs"] + cut["L-CDRs"]
    assert cut["All-FWRs"] == cut["H-FWRs"] + cut["L-FWRs"]
    for chain, whole in (("H", HEAVY), ("L", LIGHT)):
        assert sorted(cut[f"{chain}-CDRs"] + cut[f"{chain}-FWRs"]) == sorted(whole)


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_keeps_everything_else_and_is_said(fragment: str) -> None:
    found = DATA.cut(fragment)
    assert found.fragment == fragment
    assert found.ids == DATA.ids
    assert found.groups == DATA.groups
    assert np.array_equal(found.label, DATA.label)  # type: ignore[arg-type]
    assert np.array_equal(found.measurements["psr"], [0.1, 0.2])
    assert found.provenance.counts[f"with a whole {fragment}"] == 2
    assert found.digest != DATA.digest
    assert len(found.sequences) == 2
    assert (found.heavy is None) == (FRAGMENTS[fragment].chain == "light")
    assert (found.light is None) == (FRAGMENTS[fragment].chain == "heavy")


def test_the_domain_of_the_right_chain_is_taken_from_a_sequence_with_both() -> None:
    both = Dataset(ids=["scFv"], heavy=[LIGHT + LINKER + HEAVY], light=[LIGHT + LINKER + HEAVY])
    assert both.cut("VH").sequences == [HEAVY]
    assert both.cut("VL").sequences == [LIGHT]
    assert Dataset(ids=["n"], heavy=[NANOBODY]).cut("VHH").sequences == [NANOBODY]


def test_antibodies_without_the_fragment_are_listed_or_left_out() -> None:
    data = Dataset(
        ids=["good", "none", "enzyme", "swapped", "cut"],
        heavy=[HEAVY, None, LYSOZYME, LIGHT, HEAVY[:-13]],
        label=[0, 1, 0, 1, 1],
    )
    with pytest.raises(DatasetError) as caught:
        data.cut("VH")
    said = str(caught.value)
    assert said.startswith(
        "4 of 5 antibodies have no whole VH: row 2 (index 1, id none): no heavy chain; row 3 (index 2, id enzyme): no "
    )
    assert "row 4 (index 3, id swapped): a light chain, where the heavy chain is read; row 5 (index 4, id cut)" in said
    assert "drop=True" in said
    assert caught.value.row == 1
    kept = data.cut("VH", drop=True)
    assert kept.ids == ("good",)
    assert kept.provenance.dropped["swapped"] == "a light chain, where the heavy chain is read"
    assert data.cut("H-CDR1", drop=True).ids == ("good", "cut")
    assert data.cut("H-CDR3", drop=True).ids == ("good",), "its end is not known"
    late = Dataset(ids=["a", "b", "c"], heavy=[HEAVY, HEAVY[12:], "MGWSCIILFLVATATGVHS" + HEAVY[5:]])
    assert late.cut("VH", drop=True).ids == late.cut("H-FWRs", drop=True).ids == ("a",)
    assert late.cut("H-CDRs").ids == ("a", "b", "c")
    with pytest.raises(DatasetError, match="2 of 2 antibodies have no whole VH"):
        data.subset([1, 2]).cut("VH", drop=True)


def test_what_cannot_be_cut_is_an_error() -> None:
    with pytest.raises(DatasetError, match="unknown fragment 'H-CDR4'; choose one of VH, VL"):
        DATA.cut("H-CDR4")
    with pytest.raises(DatasetError, match="VL needs light chains"):
        Dataset(ids=["a"], heavy=[HEAVY]).cut("VL")
    with pytest.raises(ValueError, match="unknown species"):
        DATA.cut("VH", species=["martian"])
