from hypothesis import given
from hypothesis import strategies as st

from antibody_esm.plm.batching import batches

lengths = st.lists(st.integers(1, 50))


@given(lengths, st.integers(1, 500))
def test_every_sequence_is_in_one_batch_of_its_length(lengths: list[int], batch_tokens: int) -> None:
    made = batches(lengths, batch_tokens)
    assert sorted(i for batch in made for i in set(batch)) == list(range(len(lengths)))
    assert all(len({lengths[i] for i in batch}) == 1 for batch in made)


@given(lengths, st.integers(1, 500))
def test_no_batch_has_one_row_and_only_a_lone_sequence_is_doubled(lengths: list[int], batch_tokens: int) -> None:
    for batch in batches(lengths, batch_tokens):
        assert len(batch) >= 2
        assert len(set(batch)) == len(batch) or (batch == batch[:1] * 2 and lengths.count(lengths[batch[0]]) == 1)


@given(lengths, st.integers(1, 500))
def test_a_batch_keeps_to_its_budget_but_for_a_row_that_would_be_alone(lengths: list[int], batch_tokens: int) -> None:
    for batch in batches(lengths, batch_tokens):
        assert len(batch) <= 3 or len(batch) * lengths[batch[0]] <= batch_tokens


@given(lengths, st.integers(1, 500))
def test_a_length_that_must_run_alone_is_in_batches_of_two_copies(lengths: list[int], batch_tokens: int) -> None:
    odd = [batch for batch in batches(lengths, batch_tokens, lambda length: length % 2 == 1) if lengths[batch[0]] % 2]
    assert all(batch == batch[:1] * 2 for batch in odd)
    assert sorted(batch[0] for batch in odd) == [i for i, length in enumerate(lengths) if length % 2]


@given(lengths, st.integers(1, 500))
def test_long_sequences_come_first_and_order_is_kept_within_a_length(lengths: list[int], batch_tokens: int) -> None:
    order = [i for batch in batches(lengths, batch_tokens) for i in dict.fromkeys(batch)]
    assert order == sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
