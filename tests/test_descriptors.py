import hashlib
from pathlib import Path

import aaindex
import numpy as np
import pytest
from Bio.SeqUtils.ProtParam import ProteinAnalysis
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import issparse

import strategies
from antibody_esm import SequenceError
from antibody_esm.descriptors import (
    UNKNOWN,
    _aaindex,
    _protscale,
    describe,
    germline_genes,
    isoelectric_point,
    kmers,
    net_charge,
)
from antibody_esm.sequences import AMINO_ACIDS
from antibody_esm.specs import DescriptorSpec
from chains import HEAVY, LIGHT, LINKER, LYSOZYME, NANOBODY
from effort import examples

RIBONUCLEASE = (
    "KETAAAKFERQHMDSSTSAASSSNYCNQMMKSRNLTKDRCKPVNTFVHESLADVQAVCSQKNVACKNGQTNCYQSYSTMSITDCRETGSSKYPNCAYKTTQ"
    "ANKHIIVACEGNPYVPVHFDASV"
)
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"

residues = st.text(AMINO_ACIDS, min_size=1, max_size=40).map(strategies.protein)
EVERYTHING = DescriptorSpec(
    descriptors=("length", "isoelectric_point", "net_charge", "hydrophobicity", "composition", "protscale", "aaindex")
)


def column(sequences: list[str], name: str, **fields: object) -> np.ndarray:
    values, names = describe(sequences, DescriptorSpec(descriptors=(name,), **fields))
    assert len(names) == values.shape[1]
    return values if values.shape[1] > 1 else values[:, 0]


# Against others


@given(st.lists(residues, min_size=1, max_size=5), st.floats(1, 13))
@examples(60)
def test_charge_and_composition_and_hydropathy_are_those_of_biopython(sequences: list[str], ph: float) -> None:
    references = [ProteinAnalysis(one) for one in sequences]
    np.testing.assert_allclose(
        net_charge(sequences, ph), [one.charge_at_pH(ph) for one in references], rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(
        column(sequences, "composition"),
        [[one.count_amino_acids()[letter] / one.length for letter in AMINO_ACIDS] for one in references],
    )
    np.testing.assert_allclose(column(sequences, "hydrophobicity"), [one.gravy() for one in references], atol=1e-12)
    assert column(sequences, "length").tolist() == [one.length for one in references]


@given(st.lists(residues, min_size=1, max_size=5))
@examples(40)
def test_isoelectric_points_are_those_of_biopython_where_it_looks_for_them(sequences: list[str]) -> None:
    for found, sequence in zip(isoelectric_point(sequences), sequences, strict=True):
        expected = ProteinAnalysis(sequence).isoelectric_point()  # between 4.05 and 12
        assert np.clip(found, 4.05, 12) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    ("sequence", "published"), [(LYSOZYME, 9.32), (RIBONUCLEASE, 8.64), (UBIQUITIN, 6.56)], ids=["lysozyme", "A", "Ub"]
)
def test_isoelectric_points_are_those_that_expasy_gives(sequence: str, published: float) -> None:
    """ProtParam's theoretical pI of P00698 19-147, P61823 27-150 and P0CG48 1-76, to the two digits that it gives."""
    assert round(float(isoelectric_point([sequence])[0]), 2) == published


def test_charges_with_the_constants_of_emboss_are_those_of_another_library() -> None:
    """Computed with peptides 0.5.0."""
    sequences = [HEAVY, LIGHT, LYSOZYME, "DDDD", "KKKK"]
    assert net_charge(sequences, pk="emboss") == pytest.approx([0.88978, 1.894061, 7.458689, -4.057928, 3.939216])
    assert isoelectric_point(sequences, "emboss") == pytest.approx([8.1695, 8.6793, 9.2115, 3.228, 11.2783], abs=1e-4)


@given(st.lists(residues, min_size=1, max_size=3), st.sampled_from(["bjellqvist", "emboss"]))
@examples(40)
def test_at_the_isoelectric_point_there_is_no_charge(sequences: list[str], pk: str) -> None:
    for sequence, point in zip(sequences, isoelectric_point(sequences, pk), strict=True):
        assert abs(net_charge([sequence], point, pk)[0]) < 1e-9


def test_scales_that_biopython_and_aaindex_both_have_agree() -> None:
    """Two libraries that were typed in from the papers by different people."""
    ours, names = _protscale()
    theirs, codes = _aaindex()
    same = {
        "kyte_doolittle": "KYTJ820101",
        "engelman": "ENGD860101",
        "fauchere": "FAUJ830101",
        "black_mould": "BLAS910101",
        "argos": "ARGP820101",
        "casari": "CASG920101",
        "cid": "CIDH920105",
        "cowan_ph_3.4": "COWR900101",
        "fasman": "FASG890101",
        "goldsack": "GOLD730101",
        "guy": "GUYH850101",
        "jones": "JOND750101",
        "juretic": "JURD980101",
        "kidera": "KIDA850101",
        "parker": "PARJ860101",
        "ponnuswamy": "PONP930101",
        "rose": "ROSG850102",
        "sweet": "SWER830101",
        "zimmerman": "ZIMJ680101",
        "flexibility": "VINM940101",
        "hopp_woods": "HOPT810101",
    }
    for name, code in same.items():
        one, other = ours[:, names.index(f"protscale_{name}")], theirs[:, codes.index(f"aaindex_{code}")]
        assert one.tolist() == other.tolist(), name
    eisenberg = ours[:, names.index("protscale_eisenberg")], theirs[:, codes.index("aaindex_EISD840101")]
    assert np.corrcoef(eisenberg)[0, 1] > 0.9999, "given to fewer digits there"


def test_indices_are_those_of_the_published_flat_file() -> None:
    """Values stand under the heading ``I A/L R/K ...``: ten amino acids in a line, ten in the next."""
    text = (Path(aaindex.__file__).parent / "data" / "aaindex1").read_text(encoding="utf-8")
    order = "ARNDCQEGHILKMFPSTWYV"
    table, names = _aaindex()
    whole = 0
    for entry in text.split("//\n"):
        lines = entry.splitlines()
        heading = next((i for i, line in enumerate(lines) if line.startswith("I ")), None)
        if heading is None:
            continue
        code = lines[0].removeprefix("H ").strip()
        values = " ".join(lines[heading + 1 : heading + 3]).split()
        assert len(values) == 20
        assert (f"aaindex_{code}" in names) == ("NA" not in values)
        if "NA" not in values:
            whole += 1
            expected = [float(values[order.index(letter)]) for letter in AMINO_ACIDS]
            assert table[:, names.index(f"aaindex_{code}")].tolist() == expected, code
    assert whole == table.shape[1] == 553


def test_the_tables_are_what_they_were() -> None:
    # If this fails, a library has changed a number: raise `format` of DescriptorSpec, and pin the new version.
    digests = [
        hashlib.sha256(repr((names, table.tolist())).encode()).hexdigest()
        for table, names in (_protscale(), _aaindex())
    ]
    assert digests == [
        "ff8501631310db82150b1c8237f42395cfe996e3e97b8c2ae47605b50dd309b6",
        "caf40c354afef219951ad7d24a809189cda187cef51692cf291be6dc085191e4",
    ]


# By themselves


@given(st.lists(strategies.sequences(max_size=29).map(lambda one: one + "A"), min_size=1, max_size=6))
@examples(40)
def test_a_row_depends_on_its_own_sequence_alone_to_the_last_bit(sequences: list[str]) -> None:
    together = describe(sequences, EVERYTHING).values
    for i, one in enumerate(sequences):
        assert np.array_equal(describe([one.lower()], EVERYTHING).values[0], together[i])
    assert np.isfinite(together).all()


@given(residues, st.integers(0, 40), st.integers(1, 3))
def test_unknown_residues_count_for_the_length_and_for_nothing_else(sequence: str, place: int, count: int) -> None:
    # Not at the ends: charges there depend on which residue it is.
    sequence = f"G{sequence}G"
    place = min(place, len(sequence) - 2) + 1
    gapped = sequence[:place] + "X" * count + sequence[place:]
    (plain, unknown), names = describe([sequence, gapped], EVERYTHING)
    assert names[0] == "length"
    assert unknown[0] == plain[0] + count
    assert np.array_equal(unknown[1:], plain[1:])


def test_unknown_ends_have_the_charge_of_any_residue() -> None:
    assert net_charge(["XGX"]).tolist() == net_charge(["GGG"]).tolist() != net_charge(["AGD"]).tolist()


def test_words_with_an_unknown_residue_do_not_count() -> None:
    values, names = kmers(["ACXAC", "AXC"], 2)
    found = [{names[j]: values[i, j] for j in values[[i]].nonzero()[1]} for i in range(2)]
    assert found == [{"kmer_A": 2, "kmer_C": 2, "kmer_AC": 2}, {"kmer_A": 1, "kmer_C": 1}]


@given(st.lists(st.text("ACX", min_size=1, max_size=12), min_size=1, max_size=4), st.integers(1, 3))
def test_words_are_counted_within_each_sequence(sequences: list[str], longest: int) -> None:
    values, names = kmers(sequences, longest)
    assert values.shape == (len(sequences), sum(20**k for k in range(1, longest + 1)))
    for row, sequence in zip(values.toarray(), sequences, strict=True):
        for name in ("A", "C", "AC", "CA", "AA", "ACA", "AAC", "CCC"):
            if len(name) <= longest:
                expected = sum(sequence.startswith(name, i) for i in range(len(sequence)))
                assert row[names.index(f"kmer_{name}")] == expected
    shares, _ = kmers(sequences, longest, frequencies=True)
    for k, first in ((1, 0), (2, 20), (3, 420)):
        if k <= longest:
            totals = shares[:, first : first + 20**k].sum(axis=1)
            assert all(total == pytest.approx(1) or total == 0 for total in totals)


def test_columns_come_in_the_order_of_the_spec_with_names() -> None:
    one, other = (
        describe([HEAVY], DescriptorSpec(descriptors=names))
        for names in (("length", "composition"), ("composition", "length"))
    )
    assert one.names == ("length", *other.names[:20])
    assert other.names[-1] == "length"
    assert one.values[0, 0] == other.values[0, -1] == len(HEAVY)
    values, names = describe([HEAVY, LIGHT])
    assert values.shape == (2, len(names)) == (2, 3 + 32 + 553)
    assert values.dtype == np.float64
    assert len(set(names)) == len(names)


def test_descriptors_with_words_are_sparse_and_the_same_numbers() -> None:
    spec = DescriptorSpec(descriptors=("length", "kmers", "net_charge"), kmer=2)
    values, names = describe([HEAVY, LIGHT], spec)
    assert issparse(values)
    assert values.shape == (2, 1 + 420 + 1) == (2, len(names))
    assert (
        values.toarray()[:, [0, -1]].tolist()
        == describe([HEAVY, LIGHT], DescriptorSpec(descriptors=("length", "net_charge"))).values.tolist()
    )
    assert values.toarray()[0, 1:21].sum() == pytest.approx(1)
    counts = describe([HEAVY], DescriptorSpec(descriptors=("kmers",), kmer_values="count")).values
    assert counts.sum() == 3 * len(HEAVY) - 3


@pytest.mark.parametrize(
    "fields",
    [{"pk": "emboss"}, {"ph": 5.0}, {"hydrophobicity": "eisenberg"}, {"kmer": 2}, {"kmer_values": "count"}],
    ids=str,
)
def test_every_field_changes_a_number(fields: dict[str, object]) -> None:
    names = ("isoelectric_point", "net_charge", "hydrophobicity", "kmers")
    one, other = (describe([HEAVY], DescriptorSpec(descriptors=names, **some)).values for some in ({}, fields))
    assert one.shape != other.shape or (one != other).nnz


def test_sequences_without_a_known_residue_are_an_error_that_lists_them() -> None:
    with pytest.raises(SequenceError, match="all residues are unknown") as caught:
        describe(["A", "X", "XXX"])
    assert [row.index for row in caught.value.rows] == [1, 2]
    with pytest.raises(SequenceError):
        describe(["EV-L"])


def test_no_sequences_have_no_rows() -> None:
    assert describe([]).values.shape == (0, 588)
    assert kmers([], 2).values.shape == (0, 420)
    assert net_charge([]).tolist() == isoelectric_point([]).tolist() == []
    assert germline_genes([]).shape == (0, 2)


def test_germline_genes_are_those_of_both_domains_without_allele() -> None:
    found = germline_genes([HEAVY, LIGHT, LYSOZYME, HEAVY + LINKER + LIGHT, NANOBODY])
    assert found[:4].tolist() == [
        ["human IGHV3-66", UNKNOWN],
        [UNKNOWN, "human IGKV1-39"],
        [UNKNOWN, UNKNOWN],
        ["human IGHV3-66", "human IGKV1-39"],
    ]
    assert germline_genes([NANOBODY], species=["alpaca"])[0, 0].startswith("alpaca IGHV")
