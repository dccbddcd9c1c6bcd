import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm.store.index import Index
from antibody_esm.store.segments import KEY_BYTES, Keys


class Held:
    """Stands for a segment: what an index reads of one is its keys."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys


def keys(numbers: list[int]) -> Keys:
    rows = [bytes([number % 3] * 8 + [number] * (KEY_BYTES - 8)) for number in numbers]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(numbers), KEY_BYTES)


numbers = st.lists(st.integers(0, 2), unique=True, max_size=3)


@given(st.lists(numbers, max_size=6), st.lists(st.integers(0, 2)))
def test_every_key_is_found_in_the_newest_segment_and_then_in_older_ones(
    held: list[list[int]], wanted: list[int]
) -> None:
    index = Index([Held(keys(one)) for one in held])  # type: ignore[misc]
    check(index, held, wanted)


def check(index: Index, held: list[list[int]], wanted: list[int]) -> None:
    found = index.find(keys(wanted))
    for number in range(len(held) + 1):
        for segment, place, key in zip(*found, wanted, strict=True):
            having = [i for i, one in enumerate(held) if key in one]
            assert (segment >= 0) == (number < len(having))
            if segment >= 0:
                assert segment == having[number]
                assert held[segment][place] == key
        still = found.segment >= 0
        if not still.any():
            break
        wanted = [key for key, one in zip(wanted, still, strict=True) if one]
        found = index.find(keys(wanted), after=found.segment[still])
    assert index.count() == len({key % 3 for one in held for key in one})


@given(st.lists(st.tuples(st.lists(st.integers(0, 8), unique=True, max_size=6), st.integers(0, 9), st.booleans())))
def test_an_index_that_grows_and_shrinks_finds_what_a_new_one_finds(
    changes: list[tuple[list[int], int, bool]],
) -> None:
    held: list[list[int]] = []
    segments: list[Held] = []
    index = Index([])
    for new, where, goes in changes:
        if goes and held:
            del held[where % len(held)], segments[where % len(segments)]
        else:
            held.insert(where, new)
            segments.insert(where, Held(keys(new)))
        index = Index(segments, index)  # type: ignore[arg-type]
        check(index, held, list(range(9)))


def test_a_large_run_is_not_sorted_again_for_a_small_segment() -> None:
    large, small, smaller = Held(keys(list(range(200)))), Held(keys([1, 2])), Held(keys([3]))
    one = Index([large])  # type: ignore[list-item]
    two = Index([small, large], one)  # type: ignore[list-item]
    three = Index([smaller, small, large], two)  # type: ignore[list-item]
    assert one._runs[0] in two._runs
    assert one._runs[0] in three._runs
    assert sorted(len(run.prefixes) for run in three._runs) == [3, 200]


def test_no_run_is_larger_than_sorting_should_take_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antibody_esm.store.index._LARGEST", 5)
    held = [[0, 1, 2], [3, 4, 5, 6, 7, 8], [1, 4], [2, 5], [7]]
    segments = [Held(keys(one)) for one in held]
    index = Index([])
    for count in range(1, 6):
        index = Index(segments[:count], index)  # type: ignore[arg-type]
        assert all(len(run.prefixes) <= 5 or len(run.segments) == 1 for run in index._runs)
        check(index, held[:count], list(range(9)))


def test_a_key_that_only_begins_like_another_is_not_found_and_hides_none() -> None:
    index = Index([Held(keys([0])), Held(keys([3]))])  # type: ignore[list-item]
    assert index.find(keys([6])).segment.tolist() == [-1]
    assert index.find(keys([3])).segment.tolist() == [1]


def test_no_segments_hold_nothing() -> None:
    assert Index([]).find(keys([1, 2])).segment.tolist() == [-1, -1]
    assert Index([]).count() == 0


def test_a_segment_is_superseded_if_newer_ones_hold_each_of_its_keys() -> None:
    held = [Held(keys(one)) for one in ([0], [1, 2], [0, 1], [], [0, 2])]
    assert Index(held).superseded() == [held[2], held[3], held[4]]  # type: ignore[arg-type]
    assert Index([]).superseded() == []
