import random
from pathlib import Path

import pytest
from Bio.Data.CodonTable import standard_dna_table
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import DatasetError
from antibody_esm.data.translation import open_stretches, read_dna, translate, variable_domains
from chains import HEAVY, LIGHT
from effort import examples

CODONS: dict[str, list[str]] = {}
for codon, residue in standard_dna_table.forward_table.items():
    CODONS.setdefault(residue, []).append(codon)


def coded(protein: str, generator: random.Random) -> str:
    return "".join(generator.choice(CODONS[residue]) for residue in protein)


@given(
    st.sampled_from([HEAVY, LIGHT]), st.integers(0, 2), st.text("ACGTN", max_size=40), st.randoms(use_true_random=False)
)
@examples(25)
def test_the_reading_frame_is_found_whatever_stands_before(
    protein: str, frame: int, before: str, generator: random.Random
) -> None:
    dna = "".join(generator.choices("ACGT", k=frame)) + before + coded(protein, generator) + "TAA" + before
    (domain,) = variable_domains([dna])
    assert domain is not None
    assert domain.residues.endswith(protein[2:]), "a codon before it may be taken for its first residue"


def test_a_codon_of_which_a_base_is_not_known_is_x_unless_all_that_it_may_be_are_one_residue() -> None:
    assert translate("GGNNAGRAYTAAATGAC") == "GXX*M"
    assert translate("") == ""


def test_stretches_lie_between_stops_and_are_long_enough_for_a_domain() -> None:
    generator = random.Random(0)
    dna = coded(HEAVY, generator) + "TGA" + coded("A" * 59, generator) + "TAG" + coded(LIGHT, generator)
    assert HEAVY in open_stretches(dna)
    assert LIGHT in open_stretches(dna)
    assert "A" * 59 not in open_stretches(dna)
    assert open_stretches("ACGT") == []
    assert variable_domains(["ACGT", ""]) == [None, None]


def test_dna_is_read_in_order_whatever_its_titles_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b">\r\nacgt\r\nNN\r\n>same name (12 bp)\nAC GT\n>same name (12 bp)\nTTT\n")
    assert read_dna(path) == ["ACGTNN", "ACGT", "TTT"]
    path.write_text(">\nACGT\n>\nEVQL\n")
    with pytest.raises(DatasetError, match="record 2 holds letters that are not nucleotide codes") as caught:
        read_dna(path)
    assert (caught.value.path, caught.value.row) == (path, 1)
