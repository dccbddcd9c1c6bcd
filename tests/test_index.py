import numpy as np
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
    entries = index.find(keys(wanted))
    for number in range(len(held) + 1):
        for entry, key in zip(entries, wanted, strict=True):
            having = [i for i, one in enumerate(held) if key in one]
            assert (entry >= 0) == (number < len(having))
            if entry >= 0:
                assert index.segment[entry] == having[number]
                assert held[having[number]][index.place[entry]] == key
        if not (entries >= 0).any():
            break
        still = entries >= 0
        wanted = [key for key, one in zip(wanted, still, strict=True) if one]
        entries = index.next(entries[still], keys(wanted))
    assert index.count() == len({key for one in held for key in one})


def test_a_key_that_only_begins_like_another_is_not_found() -> None:
    index = Index([Held(keys([0]))])  # type: ignore[list-item]
    assert index.find(keys([3])).tolist() == [-1]


def test_no_segments_hold_nothing() -> None:
    assert Index([]).find(keys([1, 2])).tolist() == [-1, -1]
    assert Index([]).count() == 0


def test_a_segment_is_superseded_if_newer_ones_hold_each_of_its_keys() -> None:
    held = [Held(keys(one)) for one in ([0], [1, 2], [0, 1], [], [0, 2])]
    assert Index(held).superseded() == [held[2], held[3], held[4]]  # type: ignore[arg-type]
    assert Index([]).superseded() == []
