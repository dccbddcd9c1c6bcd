"""Doubts about a numbering are named by row, and ordinary antibodies have none."""

from pathlib import Path

import pytest

from antibody_esm import Dataset, load_dataset
from antibody_esm.choices import Engines
from antibody_esm.numbering import NANOBODY_SPECIES, Domain, number
from antibody_esm.numbering.regions import germline_lengths, occurs
from chains import HEAVY, LIGHT, NANOBODY

# PG16 (PDB 4DQO): anarcism alone leaves the last residue of CDR2, ISDDGMRK, in framework 3.
PG16 = (
    "QEQLVESGGGVVQPGGSLRLSCLASGFTFHKYGMHWVRQAPGKGLEWVALISDDGMRKYHSDSMWGRVTISRDNSKNTLYLQFSSLKVEDTAMFFC"
    "AREAGGPIWHDDVKYYDFNDGYYNYHYMDVWGKGTTVTVSS"
)
B07 = (
    "QVQLVESGGGLVQAGGSLRLSCAASGFIFHYYVMGWYRQAPGKERELVAAITSDDSTYADSVKGRFTISRDNAKNTVYLQMNSLKPEDTAVYYC"
    "AVDVWYSTDHFSDYDYWGQGTQVTVSS"
)
FLU_000278 = (  # of Boughter et al. 2020
    "EVQLVESGGGLVQPGGSLRLSCAASGFTFDSYWMNWFRQAPGKGLEWVASINLDGSEKYSVDSVKGRFTISRDNAKRSLYLQMDSLRAEDTAIYYC"
    "ARAYDTTGYYNNWDIFDIWGQGTMVTVSS"
)
ADI_47311 = (  # of Shehata et al. 2019
    "QVQLVQSGGGLIQPGGSLRLSCAASGFTISSRYMNWVRQAPGKGLEWLSLTYNGGNTRYADSVKGRFTVSRDTSKNTLYLQLNSLRAGDTAVYYC"
    "ARDTHGYSFAQWGQGTLVTVSS"
)
RABBIT = (
    "QSVEESGGRLVTPGTPLTLTCTVSGFSLSSYAMGWVRQAPGKGLEYIGIINTGGSAYYASWAKGRFTISKTSTTVDLKITSPTTEDTATYFC"
    "ARGGYDDYGDYVYFNLWGPGTLVTVSS"
)


def domain_of(sequence: str, species: tuple[str, ...] = ("human", "mouse"), engines: Engines = "auto") -> Domain:
    ((domain,),) = number([sequence], species=species, engines=engines)
    return domain


def test_a_chain_that_lost_a_residue_of_cdr2_to_framework_3_by_anarcism_is_flagged_and_repaired_by_immunum() -> None:
    alone = domain_of(PG16, engines="anarcism")
    assert alone.cdr2 == "ISDDGMR"
    assert alone.problems == ("CDR2 has 7 residues and FR3 has 39, the germline IGHV3-30*03 has 8 and 38",)
    pg16 = domain_of(PG16)
    assert (pg16.cdr2, pg16.problems, pg16.engine) == ("ISDDGMRK", (), "immunum")
    assert domain_of(PG16, engines="both").remarks == ("numbered by immunum; anarcism has CDR2 ISDDGMR",)


def test_a_cdr2_shorter_than_the_germlines_or_of_a_length_that_no_germline_has_is_flagged() -> None:
    assert domain_of(B07).problems == ("CDR2 has 6 residues, the germline IGHV3-64*04 has 8",)
    nanobody = domain_of(B07, NANOBODY_SPECIES)
    assert nanobody.cdr2 == "ITSDDST"
    assert nanobody.problems == ()
    assert nanobody.remarks == (
        "FR3 has 37 residues, the germline IGHV3S53*01 has 38",
        "numbered by anarcism; immunum has CDR2 ITSDDS",
    )
    longer = domain_of(HEAVY.replace("IYPTNGYT", "IYPTNYPTNYPTNGYT"))
    assert longer.problems == ("CDR2 has 16 residues, the germline IGHV3-66*01 has 7",)


def test_lengths_that_another_germline_has_are_remarks_and_no_problems() -> None:
    heavy = domain_of(HEAVY)
    assert heavy.problems == ()
    assert heavy.remarks == ("CDR2 has 8 residues, the germline IGHV3-66*01 has 7",), "grafted from a mouse"
    assert domain_of(LIGHT).remarks == domain_of(NANOBODY, NANOBODY_SPECIES).remarks == ()


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("RLSCAAS", "RLSYAAS", "Y at position 23, where C is conserved"),
        ("IHWVRQA", "IHYVRQA", "Y at position 41, where W is conserved"),
        ("VYYCSRW", "VYYSSRW", "S at position 104, where C is conserved"),
        ("DYWGQGT", "DYRGQGT", "R at position 118, where W or F is conserved"),
        ("DYWGQGT", "DYWAQGT", "A at position 119, where G is conserved"),
        ("DYWGQGT", "DYWGQRT", "R at position 121, where G is conserved"),
    ],
)
def test_every_anchor_is_checked(before: str, after: str, problem: str) -> None:
    assert domain_of(HEAVY.replace(before, after)).problems == (problem,)
    unread = "".join("X" if old != new else old for old, new in zip(before, after, strict=True))
    assert domain_of(HEAVY.replace(before, unread)).problems == (), "an unread residue is no fault"


def test_a_missing_anchor_is_named_unless_the_read_ends_before_it() -> None:
    assert domain_of(HEAVY[:-8]).problems == ("ends at position 120",)
    fields = domain_of(HEAVY).__dict__
    kept = [place for place, position in enumerate(fields["positions"]) if position != "41"]
    without = Domain(
        **{name: value for name, value in fields.items() if name in Domain.__dataclass_fields__}
        | {
            "residues": "".join(HEAVY[place] for place in kept),
            "positions": tuple(fields["positions"][place] for place in kept),
        }
    )
    assert "no residue at position 41, where W is conserved" in without.problems


def test_lengths_are_compared_only_in_regions_that_the_read_has_whole() -> None:
    for cut in (HEAVY[30:], HEAVY[:100], LIGHT[28:]):
        assert not [problem for domain in number([cut])[0] for problem in domain.problems if " has " in problem]


def test_a_whole_rabbit_chain_is_complete_by_rabbit_profiles() -> None:
    rabbit = domain_of(RABBIT, ("rabbit",))
    assert rabbit.positions[:3] == ("1", "3", "4"), "position 2 is a gap in rabbits"
    assert rabbit.is_complete
    assert rabbit.problems == rabbit.remarks == ()
    human = domain_of(RABBIT)
    assert not human.is_complete
    assert human.problems[0] == "begins at position 3"


@pytest.mark.parametrize(
    ("name", "chain", "flagged", "rows"),
    [
        *(("jain", "heavy", 2, 137), ("jain", "light", 0, 137), ("harvey", "heavy", 6, 48)),
        *(("shehata", "heavy", 14, 398), ("shehata", "light", 12, 398)),
    ],
)
def test_few_ordinary_antibodies_are_flagged(name: str, chain: str, flagged: int, rows: int, published: Path) -> None:
    species = NANOBODY_SPECIES if name == "harvey" else ("human", "mouse")
    domains = number(getattr(load_dataset(name), chain), species=species)
    assert len(domains) == rows
    assert sum(bool(domain.problems) for found in domains for domain in found) == flagged


def test_the_two_human_chains_that_go_wrong_with_alpaca_profiles_are_numbered_by_immunum() -> None:
    for sequence in (FLU_000278, ADI_47311):
        human = domain_of(sequence)
        assert human.problems == ()
        assert domain_of(sequence, NANOBODY_SPECIES, "anarcism").problems[0].startswith("CDR2 has ")
        nanobody = domain_of(sequence, NANOBODY_SPECIES)
        assert (nanobody.problems, nanobody.positions) == ((), human.positions)


def test_an_audit_counts_doubtful_rows_and_rows_unlike_the_germline() -> None:
    longer, mutated = HEAVY.replace("IYPTNGYT", "IYPTNYPTNYPTNGYT"), HEAVY.replace("DYWGQGT", "DYRGQGT")
    data = Dataset(["good", "long", "anchor"], [HEAVY, longer, mutated], label=[0, 1, 0])
    audit = data.audit()
    assert audit["doubtful domain, heavy"].rows == (1, 2)
    assert "1 CDR2 of doubtful length" in audit["doubtful domain, heavy"].detail
    assert audit["length unlike germline, heavy"].rows == (0,)
    assert not audit["length unlike germline, heavy"].serious


def test_germline_lengths_are_those_that_anarcism_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    import count_germline_lengths

    table = json.loads(count_germline_lengths.TABLE.read_text())
    assert table == count_germline_lengths.lengths(), "python benchmarks/count_germline_lengths.py makes it anew"


def test_germline_lengths_are_by_allele_where_those_of_a_gene_differ() -> None:
    assert germline_lengths("human", "IGHV1-8*01") == {"FR1": 16, "CDR1": 8, "FR2": 17, "CDR2": 8, "FR3": 38}
    one, other = germline_lengths("human", "IGHV3-21*01"), germline_lengths("human", "IGHV3-21*08")
    assert one is not None
    assert other is not None
    assert (one["CDR2"], other["CDR2"]) == (8, 7)
    assert germline_lengths("human", None) is germline_lengths("martian", "IGHV1-8*01") is None
    assert germline_lengths("rhesus", "IGHV3-103*01") is None, "its alignment has a fault"
    assert occurs("H", "CDR2", 10)
    assert not occurs("H", "CDR2", 6)
