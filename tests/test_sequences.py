import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from antibody_esm import DescriptorSpec, SequenceError, embed
from antibody_esm.sequences import ALPHABET, ModelText, any_pair, normalise, refuse_longer


@given(st.lists(strategies.sequences()))
def test_normalising_twice_is_normalising_once(sequences: list[str]) -> None:
    once = normalise(sequences)
    assert normalise(once) == once == sequences


@given(strategies.sequences(), st.sampled_from(["", " ", "\t", "\n", " \r\n"]))
def test_case_and_outer_space_do_not_matter(sequence: str, space: str) -> None:
    assert normalise([f"{space}{sequence.lower()}{space}"]) == [sequence]


@given(st.lists(strategies.sequences(), min_size=1), st.data())
def test_every_character_outside_of_the_alphabet_is_an_error_that_says_where(
    sequences: list[str], data: st.DataObject
) -> None:
    bad = data.draw(st.characters().filter(lambda c: c not in ALPHABET + ALPHABET.lower() and not c.isspace()))
    row = data.draw(st.integers(0, len(sequences) - 1))
    place = data.draw(st.integers(0, len(sequences[row])))
    sequences[row] = sequences[row][:place] + bad + sequences[row][place:]
    with pytest.raises(SequenceError) as caught:
        normalise(sequences)
    assert caught.value.rows == ((row, place, bad),)


@pytest.mark.parametrize("bad", ["B", "J", "O", "U", "Z", "-", ".", "*", "1", "E Q", "ß", "ſ", "ı", "É", "Ａ", "\x00"])
def test_gaps_stops_digits_and_letters_that_become_residues_when_upper_cased_are_refused(bad: str) -> None:
    with pytest.raises(SequenceError):
        normalise([f"EV{bad}L"])


@pytest.mark.parametrize("bad", ["", " ", "\n\t", None, float("nan"), 3, b"EVQL", ["EVQL"]])
def test_what_is_no_sequence_is_refused(bad: object) -> None:
    with pytest.raises(SequenceError) as caught:
        normalise(["EVQL", bad])  # type: ignore[list-item]
    assert caught.value.index == 1


def test_all_bad_rows_are_reported_together_at_the_place_they_had_in_the_input() -> None:
    with pytest.raises(SequenceError) as caught:
        normalise(["EVQL", "  E*V-", "", "EV QL"])
    assert caught.value.rows == ((1, 3, "*"), (1, 5, "-"), (2, 0, ""), (3, 2, " "))


def test_one_string_is_not_a_list_of_sequences() -> None:
    with pytest.raises(TypeError, match="got one string"):
        normalise("EVQL")


@pytest.mark.parametrize(
    "given",
    [{"ACD": "EVQL"}, {"EVQL"}, frozenset({"EVQL"}), pd.DataFrame({"heavy": ["EVQL"]})],
    ids=["dict", "set", "frozenset", "DataFrame"],
)
def test_what_would_give_its_keys_or_no_order_is_not_a_list_of_sequences(given: object) -> None:
    """ACD and HEAVY are made of amino acids."""
    with pytest.raises(TypeError, match="expected a list of sequences, got a"):
        normalise(given)
    with pytest.raises(TypeError, match="expected a list of sequences, got a"):
        embed(given, DescriptorSpec())


def test_a_column_of_a_table_is_a_list_of_sequences() -> None:
    assert normalise(pd.DataFrame({"heavy": ["evql", "QVQ"]}, index=[5, 3])["heavy"]) == ["EVQL", "QVQ"]


def test_sequences_that_are_too_long_are_listed_with_the_first_residue_beyond() -> None:
    refuse_longer(["AAAA", "A"], 4)
    with pytest.raises(SequenceError, match="6 residues, at most 4 are allowed") as caught:
        refuse_longer(["AAAA", "AAAADE", "AAAAC"], 4)
    assert caught.value.rows == ((1, 4, "D"), (2, 4, "C"))


@given(st.lists(st.text("ACDX", min_size=1, max_size=9), min_size=1, max_size=2), st.data())
def test_the_text_of_a_model_knows_the_place_of_each_residue(chains: list[str], data: st.DataObject) -> None:
    read = ModelText(tuple(chains))
    text = str(read)
    assert ModelText.of(text) == read
    assert read.is_pair == (len(chains) == 2) == any_pair([text])
    assert "".join(text[place] for place in read.places) == read.residues == "".join(chains)
    assert [text[start] for start in read.starts] == [chain[0] for chain in chains]
    place = data.draw(st.sampled_from(read.places))
    mutant = str(read.mutated(place, "W"))
    assert [i for i, pair in enumerate(zip(text, mutant, strict=True)) if pair[0] != pair[1]] == [place]
    number = data.draw(st.integers(0, len(chains) - 1))
    assert read.with_chain(number, "W").chains == (*chains[:number], "W", *chains[number + 1 :])
