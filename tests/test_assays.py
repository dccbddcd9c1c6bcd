"""Sides of assays: those of the field by their usual names, and none where a word may turn them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm.data.assays import HIGHER_IS_BETTER, higher_is_better
from antibody_esm.data.jain import ASSAYS

JAIN = {name: name in ("titer", "tm", "sgac_sins") for name in ASSAYS}


@pytest.mark.parametrize("name", ASSAYS)
def test_the_headers_of_jain_have_the_side_of_their_threshold(name: str) -> None:
    assay = ASSAYS[name]
    assert higher_is_better(assay.column) is JAIN[name] is higher_is_better(name)
    if assay.worse:
        assert JAIN[name] is (assay.worse == "below")


@pytest.mark.parametrize("name", [
    *("PSR score", "PSR MFI", "BVP ELISA", "AC-SINS shift (nm)", "HIC_RT_min", "HIC RT (min)", "hic retention time"),
    *("SMAC RT", "Heparin RT (min)", "SEC HMW (%)", "AC-SINS pH 7.4 (nm)", "bvp_score", "CIC RT min", "mean PSR score"),
])  # fmt: skip
def test_low_is_better_in_names_with_units_and_methods(name: str) -> None:
    assert higher_is_better(name) is False


@pytest.mark.parametrize("name", [
    *("DSF Tm", "Fab Tm (°C)", "Tm1_degC", "nanoDSF Tonset (°C)", "HEK titer mg/L", "CHO titer (g/L)", "SEC % monomer"),
    *("Tagg (°C)", "Tm by DSC", "T_m", "mean Tm"),
])  # fmt: skip
def test_high_is_better_in_names_with_units_and_methods(name: str) -> None:
    assert higher_is_better(name) is True


@pytest.mark.parametrize("name", [
    *("affinity", "KD (nM)", "PSR rank", "PSR (rank)", "1/HIC", "-log10 PSR", "PSR negative", "not PSR", "delta Tm"),
    *("Tm shift", "Tm loss", "HIC_pass", "neutralization titer", "neutralisation titre", "ADA titer", "binding ELISA"),
    *("antigen ELISA OD", "ELISA titer", "ELISA OD", "mean titer", "Titer PSR", "HIC Tm", "aggregation (°C)"),
    *("expressed as", "CHO PSR Tm", "normalised HIC", "SEC RT", "RT (min)", "score", "", "monomer loss"),
    *("mean expression", "concentration mg/ml", "HIC (inverse)"),
])  # fmt: skip
def test_a_word_that_may_turn_the_side_leaves_none(name: str) -> None:
    assert higher_is_better(name) is None


@given(
    st.sampled_from(sorted(HIGHER_IS_BETTER)), st.sampled_from(["rank", "foo", "change", "inverse", "relative", "of"])
)
def test_an_assay_beside_an_unlisted_word_has_no_side(assay: str, word: str) -> None:
    assert higher_is_better(f"{assay} {word}") is None
    assert higher_is_better(f"{word} {assay}") is None
