from hypothesis import given
from hypothesis import strategies as st

from antibody_esm.plm.batching import batches, in_company, shuffled

lengths = st.lists(st.integers(1, 50))


@given(lengths, st.integers(1, 500))
def test_every_sequence_is_in_one_batch_of_its_length(lengths: list[int], batch_tokens: int) -> None:
    made = batches(lengths, batch_tokens)
    assert sorted(i for batch in made for i in batch) == list(range(len(lengths)))
    assert all(len({lengths[i] for i in batch}) == 1 for batch in made)


@given(lengths, st.integers(1, 500))
def test_a_batch_has_one_row_only_if_no_other_sequence_has_its_length(lengths: list[int], batch_tokens: int) -> None:
    for batch in batches(lengths, batch_tokens):
        assert (len(batch) == 1) == (lengths.count(lengths[batch[0]]) == 1)
        assert len(in_company(batch)) == max(2, len(batch))


@given(lengths, st.integers(1, 500))
def test_a_batch_keeps_to_its_budget_but_for_a_row_that_would_be_alone(lengths: list[int], batch_tokens: int) -> None:
    for batch in batches(lengths, batch_tokens):
        assert len(batch) <= 3 or len(batch) * lengths[batch[0]] <= batch_tokens


@given(lengths, st.integers(1, 500))
def test_long_sequences_come_first_and_order_is_kept_within_a_length(lengths: list[int], batch_tokens: int) -> None:
    order = [i for batch in batches(lengths, batch_tokens) for i in batch]
    assert order == sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))


@given(st.lists(st.integers()))
def test_the_longest_batch_comes_first_in_any_order_of_the_others(todo: list[int]) -> None:
    mixed = shuffled(todo)
    assert mixed[:1] == todo[:1]
    assert sorted(mixed) == sorted(todo)
    assert shuffled(todo) == mixed
