"""A CDR3 with a WG of its own is read to its end."""

import pytest

from antibody_esm import Dataset
from antibody_esm.numbering import Domain, number
from antibody_esm.numbering.continuation import loop_positions
from chains import HEAVY, LIGHT, LINKER

LOOP = "AKDGASTGKYYDFWGGTSRRGKYYMDV"
V_PART = "EVQLVESGGVVVQPGGSLRLSCEASGFTFEDYTLHWVRQSPAKGLEWVAVISWDDNTDYGDNVRGRFTISRDNNRNSLYLQMNSVRPEDTALYYC"
SECOND_TRP_GLY = V_PART + LOOP + "WGKGTTVTVSS"


def domain_of(sequence: str) -> Domain:
    ((domain,),) = number([sequence])
    return domain


def test_a_loop_with_a_trp_gly_of_its_own_goes_on_to_framework_4() -> None:
    domain = domain_of(SECOND_TRP_GLY)
    assert (domain.cdr3, domain.region("FR4")) == (LOOP, "WGKGTTVTVSS")
    assert domain.residues == SECOND_TRP_GLY
    assert domain.continued
    assert domain.is_complete
    assert not [problem for problem in domain.problems if "FR4" in problem]
    assert domain.remarks == ("the alignment ended in CDR3; it was continued to WGKG at 118 to 121",)
    assert domain.j_gene == "IGHJ6*03"
    assert domain.score > 160, "bits of the whole domain"
    begin, end = domain.span("CDR3")
    assert domain.positions[begin + 6 : end - 5] == (
        *("111", "111A", "111B", "111C", "111D", "111E", "111F", "111G"),
        *("112G", "112F", "112E", "112D", "112C", "112B", "112A", "112"),
    )
    assert Dataset(["a"], [SECOND_TRP_GLY]).cut("VH").heavy == (SECOND_TRP_GLY,)
    assert Dataset(["a"], [SECOND_TRP_GLY]).cut("H-CDR3").heavy == (LOOP,)


@pytest.mark.parametrize(
    ("sequence", "framework_4"),
    [
        (SECOND_TRP_GLY[:-1], "WGKGTTVTVS"),
        (SECOND_TRP_GLY[:-3], "WGKGTTVT"),
        (SECOND_TRP_GLY[:-4], "WGKGTTV"),
        (SECOND_TRP_GLY.replace("TTVTVSS", "TTVAVSS"), "WGKGTTVAVSS"),
        (SECOND_TRP_GLY + "ASTKGPSVFPLAPSSKS", "WGKGTTVTVSS"),
        (SECOND_TRP_GLY + LINKER + LIGHT, "WGKGTTVTVSS"),
        (HEAVY + LINKER + SECOND_TRP_GLY, "WGKGTTVTVSS"),
        (SECOND_TRP_GLY + SECOND_TRP_GLY, "WGKGTTVTVSS"),
    ],
)
def test_it_does_so_in_truncated_mutated_and_joined_reads(sequence: str, framework_4: str) -> None:
    ((*domains,),) = number([sequence])
    ((cdr3, end),) = {
        (domain.cdr3, domain.region("FR4")) for domain in domains if domain.residues[:9] == V_PART[:9]
    } - {("SRWGGDGFYAMDY", "WGQGTLVTVSS")}
    assert (cdr3, end) == (LOOP, framework_4)
    assert all(sequence[domain.start : domain.end] == domain.residues for domain in domains)


def test_without_the_end_of_a_j_gene_behind_nothing_is_made_up() -> None:
    for sequence in (
        SECOND_TRP_GLY[:-7],
        V_PART + LOOP[:-3],
        V_PART + LOOP + "WGKGPPPPPPP",
        V_PART + LOOP + "AGKATTVTVSS",
        V_PART + LOOP[:10] + LINKER * 5 + "WGKGTTVTVSS",
    ):
        domain = domain_of(sequence)
        assert domain.problems[0] == "no FR4, so that the end of CDR3 is not known", sequence
        assert not domain.continued


@pytest.mark.parametrize("between", ["AKDGAST", "AKDGAST" + LINKER])
def test_a_domain_without_framework_4_stays_itself_and_takes_none_from_the_domain_behind(between: str) -> None:
    sequence = V_PART + between + HEAVY
    ((first, second),) = number([sequence])
    assert (first.start, first.residues[: len(V_PART)], second.residues) == (0, V_PART, HEAVY)
    assert first.end <= second.start
    assert not first.continued
    assert first.problems[0] == "no FR4, so that the end of CDR3 is not known"


def test_a_domain_without_framework_4_before_one_that_is_too_weak_is_numbered() -> None:
    weak = (
        "EVQLAASGAALAQAGGAARASCAAAGFNIKDNPIHWAAAAPQKALEAAAAAYPTAGYTRYAASAKAAFTAAAATSAATAALAMNALAAADAAAAYC"
        "SRWAGAGAAAMAAAAQGALVTVAS"
    )
    domain = domain_of(V_PART + "AKDGA" + LINKER + weak)
    assert domain.residues.startswith(V_PART)


def test_positions_of_a_loop_of_any_length_ascend_and_are_as_many() -> None:
    assert loop_positions(13) == tuple(str(position) for position in range(105, 118))
    assert loop_positions(14)[6:9] == ("111", "112A", "112")
    for length in range(61):
        positions = loop_positions(length)
        assert len(positions) == len(set(positions)) == length
        numbers = [int(position.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) for position in positions]
        assert numbers == sorted(numbers)
