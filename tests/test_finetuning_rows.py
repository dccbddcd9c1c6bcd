"""The rows that an adapter is trained on: the result depends on these, and on their units, alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from antibody_esm import ExtractorSpec, FineTuneSpec, RuntimeSpec
from antibody_esm.plm import training_passes
from antibody_esm.plm.adapters import Adapter
from antibody_esm.plm.training_rows import TrainingRows
from antibody_esm.specs import ResolvedExtractorSpec
from antibody_esm.testing import Kind
from effort import examples
from trainings import FAST, LABEL, TEXTS, checkpoint, texts, tuned


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@given(data=st.data())
@examples(16)
def test_neither_workers_nor_order_nor_threads_change_a_byte(pooling: str, data: st.DataObject) -> None:
    kinds: list[Kind] = ["esm", "bert", "esmc", "prott5", "roformer"]
    kind = data.draw(st.sampled_from(kinds))
    spec = FAST.model_copy(update={"pooling": pooling, "dropout": data.draw(st.sampled_from([0.0, 0.3]))})
    units = data.draw(st.none() | st.lists(st.integers(0, 7), min_size=24, max_size=24).map(np.array))
    if units is not None and len(set(units)) < 2:
        units[0] = 99
    first = tuned(spec, kind, units=units, runtime=RuntimeSpec(workers=1))
    order = np.array(data.draw(st.permutations(range(24))))
    other_names = None if units is None else (7 - units[order]) * 3
    runtime = RuntimeSpec(
        workers=data.draw(st.integers(2, 5)), gradient_checkpointing=data.draw(st.booleans()), batch_tokens=64
    )
    before = torch.get_num_threads()
    torch.set_num_threads(data.draw(st.sampled_from([1, 2, 3])))
    state = torch.get_rng_state()
    try:
        again = tuned(spec, kind, [TEXTS[row] for row in order], LABEL[order], other_names, runtime=runtime)
    finally:
        torch.set_num_threads(before)
    assert again.content == first.content
    assert torch.equal(torch.get_rng_state(), state), "the caller's random numbers are as they were"


def test_rows_that_are_not_trained_on_have_no_influence() -> None:
    assert tuned(rows=[*TEXTS[:20]], label=LABEL[:20]).content == tuned(rows=TEXTS[:20], label=LABEL[:20]).content
    poisoned = LABEL.copy()
    poisoned[20:] = 1 - poisoned[20:]
    assert tuned(rows=TEXTS[:20], label=poisoned[:20]).content == tuned(rows=TEXTS[:20], label=LABEL[:20]).content
    assert tuned(label=poisoned).content != tuned().content, "those that are trained on do"


def test_held_out_units_are_never_trained_on() -> None:
    # Validation labels choose the epoch and the penalty of the first head; no gradient comes from them.
    spec = FAST.model_copy(update={"epochs": 1})
    seen: list[int] = []
    plain = training_passes.vectors

    def noted(states: Any, rows: Any, weights: Any) -> Any:
        result = plain(states, rows, weights)
        if result.requires_grad and torch.is_grad_enabled():
            seen.extend(len(row) for row in rows)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("antibody_esm.plm.training.vectors", noted)
        adapter = tuned(spec, units=np.arange(24) // 3)
    assert adapter.facts.held_out == 3
    assert len(seen) == 21, "each of the others once"


@given(st.data())
@examples(150)
def test_units_are_held_out_whole_with_both_classes_if_any_allow_it(data: st.DataObject) -> None:

    n = data.draw(st.integers(2, 16))
    units = np.array(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)))
    continuous = data.draw(st.booleans())
    values = st.sampled_from([0.0, 1.0, 0.5] if continuous else [0.0, 1.0])
    label = np.array(data.draw(st.lists(values, min_size=n, max_size=n)))
    label[:2] = 0, 1
    rows = TrainingRows.of([f"{row:02}" for row in range(n)], label, units)
    share = data.draw(st.sampled_from([0.01, 0.15, 0.3, 0.5]))
    divided = rows.divided(share, data.draw(st.integers(0, 5)), continuous=continuous)
    assert sorted([*divided.inner, *divided.held_out]) == list(range(n))

    def suits(held_out: NDArray[np.bool_]) -> bool:
        inner, outer = rows.label[~held_out], rows.label[held_out]
        both = bool(len(outer)) if continuous else {*outer} == {0, 1}
        return both and len({*inner}) > 1 and 2 * len(outer) <= n

    mask = np.isin(np.arange(n), divided.held_out)
    subsets = [np.isin(rows.units, [u for u in range(6) if bits >> u & 1]) for bits in range(64)]
    possible = any(map(suits, subsets))
    if possible:
        assert not {rows.units[row] for row in divided.inner} & {rows.units[row] for row in divided.held_out}
    assert divided.whole == (possible or len({*units}) == n)
    enough = n > 2 if continuous else min(np.bincount(label.astype(int))) > 1
    assert suits(mask) or not enough
    assert 0 < len(divided.held_out) <= n / 2
    assert n == 2 or len({*rows.label[divided.inner]}) > 1


def test_a_large_unit_is_not_held_out() -> None:

    for seed in range(10):
        units = np.r_[np.zeros(90), 1:11]
        rows = TrainingRows.of([f"T{row:03d}" for row in range(100)], np.arange(100) % 2, units)
        divided = rows.divided(0.15, seed, continuous=False)
        assert divided.whole
        assert 2 <= len(divided.held_out) <= 10


def test_units_of_one_class_are_held_out_for_both_classes() -> None:

    for seed in range(10):
        rows = TrainingRows.of(texts(80), np.arange(80) // 10 % 2, np.arange(80) // 10)
        divided = rows.divided(0.15, seed, continuous=False)
        assert divided.whole
        assert sorted(rows.label[divided.held_out]) == [0] * 10 + [1] * 10


def test_rows_are_divided_where_units_cannot_be_and_the_adapter_tells_it() -> None:
    facts = tuned(units=LABEL).facts
    assert facts.divided == "rows"
    assert facts.held_out <= 12
    assert Adapter.parse(tuned(units=LABEL).content).facts == facts
    assert tuned(units=np.zeros(24)).tensors.keys() == tuned().tensors.keys()
    assert tuned(units=np.zeros(24)).facts.model_copy(update={"divided": "units"}) == tuned().facts
    assert b"divided" not in tuned().content, "files of earlier versions are read"


def test_many_small_units_are_drawn_as_before() -> None:

    rows = TrainingRows.of(texts(40), np.arange(40) % 2, np.arange(40) // 2)
    assert rows.divided(0.15, 0, continuous=False).held_out.tolist() == [0, 5, 16, 17, 22, 31]
    alone = TrainingRows.of(texts(40), np.arange(40) % 2, None)
    assert alone.divided(0.15, 0, continuous=False).held_out.tolist() == [10, 14, 16, 26, 27, 31]


def test_held_out_rows_have_both_classes() -> None:

    for seed in range(20):
        rows = TrainingRows.of(texts(100, seed), np.arange(100) % 5 == 0, None)
        held_out = rows.divided(0.15, seed, continuous=False).held_out
        assert len(held_out) == 15
        assert 2 <= rows.label[held_out].sum() <= 4


@given(st.data())
@examples(60)
def test_the_key_is_that_of_the_rows_in_any_order(data: st.DataObject) -> None:

    n = data.draw(st.integers(2, 8))
    rows = st.lists(
        st.tuples(st.sampled_from(["AC", "CD"]), st.sampled_from([0, 1]), st.integers(0, 2)), min_size=n, max_size=n
    )
    drawn = data.draw(rows)
    mixed = data.draw(st.permutations(drawn))
    names = data.draw(st.permutations(["x", "y", "z"]))
    resolved = ResolvedExtractorSpec(digest="0" * 64, layer=1)

    def key(rows: Sequence[tuple[str, int, Any]]) -> str:
        text, label, unit = zip(*rows, strict=True)
        return TrainingRows.of(text, np.array(label), np.array(unit)).key(FAST, resolved, False)

    assert key(drawn) == key([(text, label, names[unit]) for text, label, unit in mixed])
    other = list(drawn)
    other[0] = (other[0][0], 1 - other[0][1], other[0][2])
    assert key(other) != key(drawn)
    assert key([*drawn, drawn[0]]) != key(drawn)


def test_the_key_ignores_number_formats_and_knows_what_is_pooled() -> None:

    rows = TrainingRows.of(TEXTS, LABEL, None)
    plain = ExtractorSpec(model=checkpoint("esm"))

    def key(spec: FineTuneSpec = FAST, continuous: bool = False, **fields: Any) -> str:
        return rows.key(spec, plain.model_copy(update=fields).resolve(), continuous)

    assert key() == key(precision="int8", storage="float16", layer=2, max_length=100)
    others = [
        key(FineTuneSpec()),
        key(continuous=True),
        *(key(**fields) for fields in ({"layer": 1}, {"region": "cdr3"}, {"special_tokens": "include"})),
        *(key(**fields) for fields in ({"pairs": "joined"}, {"truncation": True}, {"prefix": "<mask>"})),
    ]
    assert len({key(), *others}) == len(others) + 1
