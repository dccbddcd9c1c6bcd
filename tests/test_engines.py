"""Two programs number, stated rules decide between them, and what they disagree on is named."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import load_dataset
from antibody_esm.data.reading import Reading
from antibody_esm.numbering import CDRS, NANOBODY_SPECIES, SPECIES, Domain, consensus, method, number, profiles
from antibody_esm.numbering import cache as cache_module
from antibody_esm.numbering import engines as engines_module
from antibody_esm.numbering.continuation import loop_positions
from antibody_esm.numbering.engines import engines_of, numbered
from chains import HEAVY, LIGHT, NANOBODY
from effort import STRESS, examples
from test_domain import B07, PG16, RABBIT
from test_numbering import doubtful

BEHIND = {"H": "ARDYGDSAMDYWGQGTLVTVSS", "K": "QQYNSYPLTFGGGTKLEIK", "L": "QSYDSSLSVVFGGGTKLTVL"}
"""CDR3 and framework 4 by chain."""


def loops(domain: Domain) -> tuple[str, ...]:
    return tuple(domain.region(name) for name in CDRS)


def test_every_germline_gene_of_eight_species_has_its_published_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Truth: V genes aligned by IMGT (IMGT/GENE-DB, CC BY 4.0), which anarcism carries and immunum does not."""
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    from count_germline_lengths import germlines

    genes = [gene for gene in germlines() if (gene[2][22], gene[2][40], gene[2][103]) == ("C", "W", "C")]
    assert len(genes) == 1258
    genes = genes if STRESS else genes[::4]
    elsewhere = set()
    for species in dict.fromkeys(species for species, *_ in genes):
        here = [(name, aligned[:104]) for of, name, aligned in genes if of == species]
        chains = [aligned.replace("-", "") + BEHIND[name[2]] for name, aligned in here]
        for (name, aligned), domains in zip(here, number(chains, species=(species,)), strict=True):
            (domain,) = domains
            published = [(str(place + 1), residue) for place, residue in enumerate(aligned) if residue != "-"]
            for region, first, last in (("CDR1", 27, 38), ("CDR2", 56, 65)):
                assert domain.region(region) == aligned[first - 1 : last].replace("-", ""), name  # type: ignore[arg-type]
            if list(zip(domain.positions, domain.residues, strict=True))[: len(published)] != published:
                elsewhere.add(name)
    assert elsewhere <= ELSEWHERE


ELSEWHERE = {
    *("IGHV1-12*03", "IGHV2-6-3*01", "IGHV1S44*01", "IGHV1S45*01", "IGHV1S57*01", "IGLV8-38*01"),
}
"""Genes with a gap in a framework, which the programs place one position away."""


def test_third_loops_are_the_junctions_that_cell_ranger_writes() -> None:
    with (Path(__file__).parent / "field" / "01_airr_rearrangement.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert len(rows) >= 2
    for row, (domain,) in zip(rows, number([row["sequence_aa"] for row in rows]), strict=True):
        assert row["junction_aa"][1:-1] == domain.cdr3


@pytest.mark.parametrize("length", range(3, 46))
def test_a_third_loop_of_any_length_has_imgts_positions(length: int) -> None:
    loop = ("AR" + "GSYDTGNSAYDSGTYPSDYSGGNTASYSDAYTGSSYDSNAYG" * 2)[: length - 2] + "DY"
    ((domain,),) = number([HEAVY.replace("SRWGGDGFYAMDY", loop)])
    begin, end = domain.span("CDR3")
    assert (domain.cdr3, domain.positions[begin:end]) == (loop, loop_positions(length))
    assert domain.problems == ()


def test_insertions_in_the_other_loops_do_not_move_the_next_framework() -> None:
    for loop, inside in (
        ("GFNIKDTY", "GFNIKGSGDTY"),
        ("GFNIKDTY", "GFNTY"),
        ("IYPTNGYT", "IYPTNGSGGSYT"),
        ("IYPTNGYT", "IYGYT"),
    ):
        ((domain,),) = number([HEAVY.replace(loop, inside)])
        assert inside in loops(domain)
        assert domain.remarks or domain.problems


# The right answer is that of the program that keeps the conserved residues, or that of the publication.
DISAGREEMENTS = {
    ("boughter", "hiv_nat_000049"): ("CDR3", "ARTRCFGANCFNFMDV", "immunum takes WG of WGKG into the loop"),
    ("boughter", "hiv_nat_000119"): ("CDR1", "TFTSMSYT", "immunum has LSW in it, and Q in place of tryptophan 41"),
    ("boughter", "mouse_iga_000231"): ("CDR1", "GYSITSGYY", "immunum has L in place of cysteine 23"),
    ("shehata", "ADI-47246"): ("CDR1", "GGVL", "both lack residues of it; both are flagged"),
    ("harvey", "B07"): ("CDR2", "ITSDDST", "as published; immunum leaves T in framework 3"),
    ("harvey", "A12'"): ("CDR2", "ISWSGGST", "as published; immunum leaves T in framework 3"),
}
"""All loops of the four public sets that the programs number differently, with the right one."""
ELSEWHERE_IN_FRAMEWORKS = {("shehata", "ADI-47267"): ("FR3", "81"), ("harvey", "A05"): ("FR1", "24")}
"""Chains with a deletion in a framework, whose gap they place differently, and the last position before anarcism's."""


def test_every_disagreement_on_the_public_sets_is_decided_rightly_and_named(published: Path) -> None:
    for name, species in (("boughter", SPECIES), ("jain", SPECIES), ("shehata", SPECIES), ("harvey", NANOBODY_SPECIES)):
        data = load_dataset(name)
        heavy = dict(zip(data.ids, data.heavy or (), strict=True))
        expected = {id_: case for (of, id_), case in DISAGREEMENTS.items() if of == name}
        for id_, (region, loop, why) in expected.items():
            ((domain,),) = number([heavy[id_] or ""], species=species)
            ours = consensus.aligned(heavy[id_] or "", species)
            assert domain.region(region) == loop, why  # type: ignore[arg-type]
            assert ours.doubt, "the rule has to catch it"
            assert region in domain.differing
            assert not domain.undecided
        for id_ in (id_ for of, id_ in ELSEWHERE_IN_FRAMEWORKS if of == name):
            assert consensus.aligned(heavy[id_] or "", species).doubt
        if STRESS:
            chains = [chain for chains in (data.heavy, data.light) for chain in chains or () if chain]
            alone, both = (number(chains, species=species, engines=engines) for engines in ("anarcism", "both"))
            for one, other in zip(alone, both, strict=True):
                assert [(a.start, a.positions) for a in one] == [(b.start, b.positions) for b in other]
            assert sum(bool(domain.differing) for (domain,) in both) == len(expected)


@examples(20)
@given(sequences=st.lists(doubtful(), min_size=1, max_size=3), species=st.sampled_from([SPECIES, NANOBODY_SPECIES]))
def test_both_give_the_domains_of_auto_and_name_every_other_loop(
    sequences: list[str], species: tuple[str, ...]
) -> None:
    unique = list(dict.fromkeys(sequences))
    auto, both, alone = (numbered(unique, species, 1, engines) for engines in ("auto", "both", "anarcism"))
    assert numbered(unique, species, 2, "auto") == auto
    for sequence in unique:
        plain = [replace(domain, differing="", undecided=False) for domain in auto[sequence]]
        assert [replace(domain, differing="", undecided=False) for domain in both[sequence]] == plain
        if len(alone[sequence]) == len(both[sequence]):
            for mine, other in zip(both[sequence], alone[sequence], strict=True):
                assert loops(mine) == loops(other) or mine.differing


def test_reads_cut_at_either_end_are_those_of_anarcism() -> None:
    cut = [chain for n in range(1, 14, 2) for whole in (HEAVY, LIGHT) for chain in (whole[n:], whole[:-n])]
    for one, other in zip(number(cut), number(cut, engines="anarcism"), strict=True):
        assert [(a.start, a.positions) for a in one] == [(b.start, b.positions) for b in other]


def test_chains_of_other_species_are_in_doubt_and_stay_incomplete() -> None:
    assert consensus.aligned(RABBIT, SPECIES).doubt in (
        "no germline V gene is near",
        "a V gene of another species or chain is nearer",
    )
    ((rabbit,),) = number([RABBIT])
    assert rabbit.engine == "anarcism"
    assert rabbit.problems[0] == "begins at position 3"
    assert consensus.aligned(NANOBODY, SPECIES).doubt
    assert not consensus.aligned(NANOBODY, NANOBODY_SPECIES).doubt


def test_residues_of_a_leader_that_replace_the_first_of_the_chain_are_in_doubt() -> None:
    leader = "MGWSCIILFLVATATGVHS"
    assert not consensus.aligned(leader + LIGHT, SPECIES).doubt
    assert consensus.aligned(leader + LIGHT[5:], SPECIES).doubt.startswith("residues before it")
    assert consensus.aligned(HEAVY[:-15] + "X" + HEAVY[-14:], SPECIES).doubt == "unknown residues at its ends"


def test_a_disagreement_that_no_rule_decides_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """This did not occur on the public sets: one of the two always had a problem."""
    ((light,),) = number([LIGHT], engines="anarcism")
    begin, _ = light.span("CDR1")
    moved = (*light.positions[: begin - 1], "27", *light.positions[begin:])
    other = replace(light, positions=moved, v_gene=None)  # without a gene, no length is unusual
    monkeypatch.setattr(engines_module, "_with_genes", lambda domain, _: domain)
    monkeypatch.setattr(profiles, "aligned", lambda sequences, *_: dict.fromkeys(sequences, (other,)))
    (domain,) = numbered([LIGHT], SPECIES, 1, "both")[LIGHT]
    assert domain.problems == ("numbered by immunum; anarcism has CDR1 SQDVNTA",)
    monkeypatch.setattr(profiles, "aligned", lambda sequences, *_: dict.fromkeys(sequences, (other,) * 2))
    (domain,) = numbered([LIGHT], SPECIES, 1, "both")[LIGHT]
    assert domain.problems == ("numbered by immunum; anarcism has 2 domains",)


def test_results_of_one_choice_are_never_those_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "cache_folder", lambda: tmp_path)
    assert len({method(engines="auto"), method(engines="both"), method(engines="anarcism")}) == 3
    for _ in range(2):
        assert [number([PG16], engines=engines)[0][0].cdr2 for engines in ("anarcism", "auto", "both")] == [
            *("ISDDGMR", "ISDDGMRK", "ISDDGMRK")
        ]
    with pytest.raises(ValueError, match="engines must be one of auto, both, anarcism, not 'immunum'"):
        number([HEAVY], engines="immunum")  # type: ignore[arg-type]


def test_a_model_saved_when_anarcism_numbered_alone_reads_what_it_read_then() -> None:
    before, now = Reading(fragment="H-CDR2", engine="anarcism 1.0.1, 2"), Reading(fragment="H-CDR2")
    assert (before.engines, now.engines) == ("anarcism", "auto")
    assert [reading.read([PG16]).accepted for reading in (before, now)] == [["ISDDGMR"], ["ISDDGMRK"]]
    assert {engines_of(method(engines=engines)) for engines in ("auto", "both")} == {"auto"}
    assert method(engines="anarcism").startswith("anarcism 1.")


def test_a_short_loop_on_which_both_agree_is_in_doubt() -> None:
    ((domain,),) = number([B07], engines="both")
    assert (domain.cdr2, domain.differing) == ("ITSDDS", "")
    assert domain.problems == ("CDR2 has 6 residues, the germline IGHV3-64*04 has 8",)
