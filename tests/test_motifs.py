"""The language of motifs: what it takes, what it refuses, and that nothing in it is slow."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm.design.motifs import LONGEST, Motif
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS
from effort import examples

ELEMENTS = st.one_of(
    st.sampled_from(AMINO_ACIDS),
    st.text(AMINO_ACIDS, min_size=1, max_size=4).map(lambda letters: f"[{letters}]"),
    st.text(AMINO_ACIDS, min_size=1, max_size=4).map(lambda letters: f"{{{letters}}}"),
)
MOTIFS = st.lists(ELEMENTS, min_size=1, max_size=4).map("-".join)


@pytest.mark.parametrize(
    ("text", "sequence", "starts"),
    [
        ("N-G", "NGANGG", [0, 3]),
        ("N-N", "NNN", [0, 1]),
        ("N-{P}-[ST]", "NPTNATNGS", [3, 6]),
        ("x-C", "CACC", [1, 2]),
        ("W-x(2)-W", "WAAWAAW", [0, 3]),
        ("<Q", "QAQ", [0]),
        ("<E-V", "QEV", []),
        ("N-{P}-[ST]", "NXT", []),
        ("N-x-T", "NXT", [0]),
        ("N", "", []),
    ],
)
def test_a_motif_begins_where_its_notation_says(text: str, sequence: str, starts: list[int]) -> None:
    assert Motif(text).starts(sequence) == starts


REFUSED = [
    *("", "n-g", "N-", "-N", "NG", "N-G*", "(N)+", "N-[^P]", "N(0)", "N(100)", "x", "x(3)", "[]", "{}", "N|G", "N-B"),
    *("N-X", "<", "N-<G", "N(31)", "A(16)-C(15)", "N\n", " N", "(?=N)", "a" * 301),
]


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"motif|matches every residue"):
        Motif(text)


@given(MOTIFS, st.text(ALPHABET, max_size=40))
@examples(50)
def test_starts_are_the_places_at_which_every_element_allows_the_residue(text: str, sequence: str) -> None:
    motif = Motif(text)
    windows = range(len(sequence) - len(motif) + 1)
    assert motif.starts(sequence) == [i for i in windows if motif.matches(sequence[i : i + len(motif)])]


@given(st.text(max_size=40))
@examples(50)
def test_any_text_is_a_motif_or_a_value_error(text: str) -> None:
    try:
        assert 1 <= len(Motif(text)) <= LONGEST
    except ValueError:
        assert not re.fullmatch(f"[{AMINO_ACIDS}](-[{AMINO_ACIDS}]){{0,9}}", text)


def test_the_slowest_motif_takes_no_time() -> None:
    sequence = "A" * 10_000
    start = time.process_time()
    assert Motif("A(15)-x(14)-C").starts(sequence) == []
    assert Motif("-".join(["[ACDEFGHIKLMNPQRSTVWY]"] * 11) + "-C").starts(sequence) == []
    assert time.process_time() - start < 1
