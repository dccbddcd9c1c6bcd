"""Schemes of Kabat, Chothia, Martin and AHo: known antibodies have their known loops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm.choices import Scheme
from antibody_esm.numbering import NANOBODY_SPECIES, SchemeDomain, number
from antibody_esm.numbering.domain import bare
from antibody_esm.unknown import Unknown
from chains import HEAVY, LIGHT
from effort import examples
from test_domain import B07
from test_numbering import doubtful

SEVEN = (  # a human IGHV4-39 chain: CDR-H1 of seven residues by Kabat
    "QLQLQESGPGLVKPSETLSLTCTVSGGSISSSSYYWGWIRQPPGKGLEWIGSIYYSGSTYYNPSLKSRVTISVDTSKNQFSLKLSSVTAADTAVYYC"
    "ARHGGDSSGYYFDYWGQGTLVTVSS"
)


def in_scheme(sequence: str, scheme: Scheme) -> SchemeDomain:
    ((domain,),) = number([sequence], scheme=scheme)  # type: ignore[misc]  # not imgt
    assert isinstance(domain, SchemeDomain)
    return domain


def residues_at(domain: SchemeDomain) -> dict[str, str]:
    assert not isinstance(domain.positions, Unknown)
    return dict(zip(domain.positions, domain.domain.residues, strict=True))


@pytest.mark.parametrize(
    ("scheme", "heavy", "light"),
    [
        ("kabat", ("DTYIH", "RIYPTNGYTRYADSVKG", "WGGDGFYAMDY"), ("RASQDVNTAVA", "SASFLYS", "QQHYTTPPT")),
        ("chothia", ("GFNIKDT", "YPTNGY", "GGDGFYAMD"), ("SQDVNTA", "SAS", "HYTTPP")),
        ("martin", ("GFNIKDTYIH", "RIYPTNGYTR", "WGGDGFYAMDY"), ("RASQDVNTAVA", "SASFLYS", "QQHYTTPPT")),
    ],
)
def test_loops_of_trastuzumab_are_those_of_the_literature(
    scheme: Scheme, heavy: tuple[str, ...], light: tuple[str, ...]
) -> None:
    for sequence, loops in ((HEAVY, heavy), (LIGHT, light)):
        domain = in_scheme(sequence, scheme)
        assert (domain.cdr1, domain.cdr2, domain.cdr3) == loops
        regions = [domain.region(name) for name in ("FR1", "CDR1", "FR2", "CDR2", "FR3", "CDR3", "FR4")]  # type: ignore[arg-type]
        assert "".join(regions) == sequence


def test_insertions_are_where_each_scheme_has_them() -> None:
    kabat, chothia, martin = (residues_at(in_scheme(HEAVY, scheme)) for scheme in ("kabat", "chothia", "martin"))
    assert [kabat[position] for position in ("52", "52A", "53", "82", "82A", "82B", "82C")] == list("YPTMNSL")
    assert [kabat[position] for position in ("100", "100A", "100B", "100C", "101")] == list("FYAMD")
    assert chothia["82C"] == "L"
    assert [martin[position] for position in ("72", "72A", "72B", "72C", "73")] == list("DTSKN"), "not at 82"
    assert "82A" not in martin
    long = {scheme: residues_at(in_scheme(SEVEN, scheme)) for scheme in ("kabat", "chothia")}  # type: ignore[arg-type]
    assert [position for position in long["kabat"] if position in ("31A", "31B", "35A", "35B")] == ["35A", "35B"]
    assert [position for position in long["chothia"] if position in ("31A", "31B", "35A", "35B")] == ["31A", "31B"]
    assert in_scheme(SEVEN, "kabat").cdr1 == "SSSYYWG"


@pytest.mark.parametrize(
    ("scheme", "heavy", "light"),
    [
        *(("kabat", "22 36 92 103", "23 35 88 98"), ("chothia", "22 36 92 103", "23 35 88 98")),
        *(("martin", "22 36 92 103", "23 35 88 98"), ("aho", "23 43 106 139", "23 43 106 139")),
    ],
)
def test_conserved_residues_have_the_positions_of_the_scheme(scheme: Scheme, heavy: str, light: str) -> None:
    for sequence, places, anchors in (
        *((chain, heavy, "CWCW") for chain in (HEAVY, SEVEN)),
        (LIGHT, light, "CWCF"),
    ):
        residues = residues_at(in_scheme(sequence, scheme))
        assert "".join(residues[place] for place in places.split()) == anchors


def test_domains_that_immunum_aligns_otherwise_are_unknown_with_the_reason() -> None:
    ((domain,),) = number([B07], species=NANOBODY_SPECIES, scheme="kabat")
    assert domain.domain.cdr2 == "ITSDDST"
    assert domain.positions == Unknown("immunum, which knows the scheme, aligns this domain differently")
    assert domain.cdr2 == ""
    with pytest.raises(ValueError, match="scheme must be one of imgt, kabat, chothia, martin, aho, not 'eu'"):
        number([HEAVY], scheme="eu")  # type: ignore[call-overload]


@examples(20)
@given(sequence=doubtful(), scheme=st.sampled_from(["kabat", "chothia", "martin", "aho"]))
def test_positions_of_any_domain_ascend_and_occur_once(sequence: str, scheme: Scheme) -> None:
    (imgt,), (domains,) = number([sequence]), number([sequence], scheme=scheme)
    assert [domain.domain for domain in domains] == list(imgt)  # type: ignore[union-attr]
    for domain in domains:
        assert isinstance(domain, SchemeDomain)
        if not isinstance(domain.positions, Unknown):
            numbers = [bare(position) for position in domain.positions]
            assert len(set(domain.positions)) == len(domain.positions) == len(domain.domain.residues)
            assert numbers == sorted(numbers)
