"""Records of FASTA text have lines, sequences and distinct ids."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import DatasetError
from antibody_esm.data.fasta import first_word, headers, namer, records

words = st.text("ab1|_", min_size=1, max_size=3)
titles = st.lists(st.lists(words, max_size=3).map(" ".join), max_size=30)


@given(titles, st.integers(1, 8))
def test_ids_are_first_words_if_these_are_unique_and_else_whole_headers(found: list[str], most: int) -> None:
    """However few digests are held in memory at a time."""
    first = [first_word(title) for title in found if title]
    expected = first_word if len(set(first)) == len(first) else str
    named = namer(lambda: found, most)
    assert [named(title) for title in found] == [expected(title) for title in found]


def test_more_headers_than_are_held_in_memory_are_compared_in_parts() -> None:
    unique = [f"contig_{number} of a cell" for number in range(5_000)]
    reads = []

    def read() -> list[str]:
        reads.append(1)
        return unique

    assert namer(read, 500)(unique[7]) == "contig_7"
    assert len(reads) > 10
    unique[4_999] = "contig_0 of another cell"
    assert namer(read, 500)(unique[7]) == unique[7]


@given(
    st.lists(
        st.tuples(
            st.text("abc xyz", max_size=8),
            st.lists(st.text("EVQL ", max_size=6), max_size=4),
            st.sampled_from(["\n", "\r\n", "\r"]),
        ),
        max_size=8,
    ),
    st.lists(st.sampled_from(["", "# a comment", "  "]), max_size=3),
)
def test_every_record_has_the_line_of_its_header_and_its_whole_sequence(
    found: list[tuple[str, list[str], str]], above: list[str]
) -> None:
    text, expected = "".join(f"{line}\n" for line in above), []
    line = len(above) + 1
    for title, parts, end in found:
        expected.append((line, title.strip(), "".join(parts).replace(" ", "")))
        text += f">{title}{end}" + "".join(f"{part}{end}" for part in parts)
        line += 1 + len(parts)
    assert list(records(io.StringIO(text, newline=None))) == expected
    assert list(headers(io.StringIO(text, newline=None))) == [title for _, title, _ in expected]


def test_text_above_the_first_header_is_an_error() -> None:
    with pytest.raises(DatasetError, match="must begin with '>'"):
        list(records(["EVQL", ">a", "EVQL"]))
