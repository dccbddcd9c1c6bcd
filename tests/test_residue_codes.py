"""Codes of residues are texts in another form: nothing is lost, and nothing else is read as a text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm.residue_codes import decode, encode
from antibody_esm.sequences import ALPHABET

CHAINS = st.text(ALPHABET, min_size=1, max_size=30)
TEXTS = st.one_of(CHAINS, st.tuples(CHAINS, CHAINS).map("|".join))


@given(st.lists(TEXTS, max_size=6), st.integers(0, 3))
def test_texts_come_back_whatever_the_padding(texts: list[str], more: int) -> None:
    codes = encode(texts)
    assert decode(np.hstack([codes, np.zeros((len(texts), more))])) == texts


@given(st.lists(TEXTS, min_size=1, max_size=6), st.data())
def test_a_row_depends_on_its_own_text_only(texts: list[str], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(texts) - 1))
    alone, together = encode([texts[row]])[0], encode(texts)[row]
    assert np.array_equal(alone, together[: len(alone)])
    assert not together[len(alone) :].any()


@given(st.lists(TEXTS, min_size=1, max_size=4), st.data())
def test_numbers_that_are_no_codes_are_refused(texts: list[str], data: st.DataObject) -> None:
    codes = encode(texts)
    row = data.draw(st.integers(0, len(texts) - 1))
    place = data.draw(st.integers(0, len(texts[row]) - 1))
    wrong = [-1.0, 0.5, 23.0, np.nan, np.inf, *([0.0] if place < len(texts[row]) - 1 else [])]
    codes[row, place] = data.draw(st.sampled_from(wrong))
    with pytest.raises(ValueError, match="no codes of residues"):
        decode(codes)


@pytest.mark.parametrize("codes", [np.zeros((1, 3)), np.zeros(3), np.zeros((2, 0))])
def test_a_row_without_residues_is_refused(codes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no codes of residues"):
        decode(codes)


@pytest.mark.parametrize("text", ["", "evq", "EV-Q", "EVÄ", "EV\u2028"])
def test_texts_that_are_not_in_normal_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no text of an antibody"):
        encode(["EVQ", text])
