"""All domains of a sequence are recognised, and what is no antibody is named."""

from pathlib import Path

import pytest

from antibody_esm import SequenceError
from antibody_esm.numbering import NANOBODY_SPECIES, absent_reason, closest_species, method, number
from antibody_esm.numbering import cache as cache_module
from antibody_esm.numbering import profiles as profiles_module
from chains import HEAVY, LIGHT, LINKER, LYSOZYME, NANOBODY

# The A6 receptor (PDB 1AO7), then germline V and J genes: mouse TRAV6 and TRBV13, human TRGV9 and TRDV2.
RECEPTORS = {
    "alpha": [
        "KEVEQNSGPLSVPEGAIASLNCTYSDRGSQSFFWYRQYSGKSPELIMSIYSNGDKEDGRFTAQLNKASQYVSLLIRDSQPSDSATYLC"
        "AVTTDSWGKLQFGAGTQVVVTPDIQNPDPAVYQLRD",
        "GDSVTQMQGQVTLSEDDFLFINCTYSTTWYPTLFWYVQYPGEGPQLLLKVTTANNKGISRGFEATYDKRTTSFHLQKASVQESDSAVYYCVLGKLIFGIGTLLSVKP",
    ],
    "beta": [
        "NAGVTQTPKFQVLKTGQSMTLQCAQDMNHEYMSWYRQDPGMGLRLIHYSVGAGITDQGEVPNGYNVSRSTTEDFPLRLLSAAPSQTSVYFC"
        "ASRPGLAGGRPEQYFGPGTRLTVTEDLKNVFPPEVAVFEPSE",
        "EAAVTQSPRNKVTVTGGNVTLSCRQTNSHNYMYWYRQDTGHGLRLIHYSYGAGNLRIGDVPDGYKATRTTQEDFFLLLELASPSQTSLYFCASSDEQFFGPGTRLTVL",
    ],
    "gamma": [
        "AGHLEQPQISSTKTLSKTARLECVVSGITISATSVYWYRERPGEVIQFLVSISYDGTVRKESGIPSGKFEVDRIPETSTSTLTIHNVEKQDIATYYC"
        "ALWEKAGFKIFAEGTKLIVTS"
    ],
    "delta": [
        "AIELVPEHQTVPVSIGVPATLRCSMKGEAIGNYYINWYRKTQGNTITFIYREKDIYGPGFKDNFQGDIDIAKNLAVLKILAPSERDEGSYYC"
        "ACDTTGGKLIFGKGTRVTVEP"
    ],
}
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
GFP = (
    "MSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTFSYGVQCFSRYPDHMKQHDFFKSAMPEGYVQERTIFF"
    "KDDGNYKTRAEVKFEGDTLVNRIELKGIDFKEDGNILGHKLEYNYNSHNVYIMADKQKNGIKVNFKIRHNIEDGSVNLADHYQQNTPIGDGPVLLPDNHY"
    "LSTQSALSKDPNEKRDHMVLLEFVTAAGITHGMDELYK"
)
SHARK = (  # a VNAR
    "ARVDQTPRSVTKETGESLTINCVLRDASYALGSTCWYRKKSGSTNEESISKGGRYVETVNSGSKSFSLRINDLTVEDGGTYRCGVIVDNSGWCDYACGVPDVYGDGTAVTVN"
)
RABBIT = (
    "QSLEESGGDLVKPGASLTLTCTASGFSFSSSYYMCWVRQAPGKGLEWIACIYAGSSGSTYYASWAKGRFTISKTSSTTVTLQMTSLTAADTATYFC"
    "ARDLGYSGSSYNLWGPGTLVTVSS"
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache of the test's own."""
    monkeypatch.setattr(cache_module, "cache_folder", lambda: tmp_path)


@pytest.mark.parametrize("linker", ["", "GGGS", LINKER * 2])
def test_all_domains_of_tandem_and_single_chain_constructs_are_recognised(linker: str) -> None:
    field = (
        "EVQLVESGGGLVQPGGSLRLSCAASGRTFSYNPMGWFRQAPGKGRELVAAISRTGGSTYYPDSVEGRFTISRDNAKRMVYLQMNSLRAEDTAVYYC"
        "AAAGVRAEDGRVRTLPSEYTFWGQGTQVTVSS"
    )
    for parts, kinds in (
        ([field, HEAVY], "HH"),
        ([NANOBODY, NANOBODY], "HH"),
        ([NANOBODY, NANOBODY, HEAVY], "HHH"),
        ([HEAVY, LIGHT], "HK"),
        ([LIGHT, HEAVY], "KH"),
        ([HEAVY, LIGHT, HEAVY, LIGHT], "HKHK"),
    ):
        for species in (("human", "mouse"), NANOBODY_SPECIES):
            ((*domains,),) = number([linker.join(parts)], species=species)
            assert "".join(domain.chain for domain in domains) == kinds
            assert [domain.residues for domain in domains] == parts


@pytest.mark.parametrize("species", [("human", "mouse"), NANOBODY_SPECIES])
def test_receptors_sharks_and_other_proteins_have_no_domain_and_are_named(species: tuple[str, ...]) -> None:
    for chain, sequences in RECEPTORS.items():
        assert number(sequences, species=species) == [()] * len(sequences)
        assert {absent_reason(sequence, species=species) for sequence in sequences} == {
            f"a T-cell receptor {chain} chain"
        }
    others = [SHARK, LYSOZYME, UBIQUITIN, GFP, "A", "X" * 120]
    assert number(others, species=species) == [()] * len(others)
    assert {absent_reason(sequence, species=species) for sequence in others} == {
        "no antibody variable domain is recognised"
    }


def test_a_sequence_with_a_domain_has_no_reason_and_a_long_one_its_own() -> None:
    assert absent_reason(HEAVY) == absent_reason(HEAVY + LINKER + LIGHT) == ""
    assert absent_reason("W" * 10_001) == "too long to be an antibody: 10,001 residues"
    with pytest.raises(SequenceError):
        absent_reason("EV-L")
    with pytest.raises(ValueError, match="unknown species martian"):
        absent_reason(HEAVY, species=("martian",))


def test_a_reason_is_computed_once(cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (alpha, _) = RECEPTORS["alpha"]
    first = absent_reason(alpha)
    monkeypatch.delattr(profiles_module, "_results")
    assert absent_reason(alpha) == first
    with pytest.raises(NameError):
        absent_reason(SHARK)


def test_a_weak_domain_that_aligns_better_to_a_receptor_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    (mouse_gamma,) = RECEPTORS["gamma"]
    ((domain,),) = number([HEAVY])
    weak = {mouse_gamma: (type(domain)(**{**vars_of(domain), "score": 85.0}),)}
    assert profiles_module._without_receptors(weak, ("human", "mouse"), 1) == {mouse_gamma: ()}
    truncated = HEAVY[:70]
    (fragment,) = number([truncated])
    assert all(kept.score < 100 for kept in fragment), "a weak domain of an antibody stays"
    assert len(fragment) == 1


def vars_of(domain: object) -> dict[str, object]:
    return {name: getattr(domain, name) for name in domain.__dataclass_fields__}  # type: ignore[attr-defined]


def test_the_species_of_the_nearest_germline_is_named() -> None:
    assert [closest_species(chain) for chain in (HEAVY, LIGHT, NANOBODY, RABBIT)] == [
        *("human", "human", "alpaca", "rabbit")
    ]
    assert closest_species(LYSOZYME) is closest_species("W" * 10_001) is None


def test_the_method_names_species_other_than_human_and_mouse() -> None:
    assert method() == method(("mouse", "human")) == method(("human", "mouse", "human"))
    assert method(NANOBODY_SPECIES) == method(("mouse", "alpaca", "human")) == f"{method()}, alpaca human mouse"
    assert method(("rabbit",)) == f"{method()}, rabbit"
    assert len({method(), method(("human",)), method(("mouse",)), method(NANOBODY_SPECIES)}) == 4
