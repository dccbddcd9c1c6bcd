import json
import multiprocessing
import os
import stat
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from antibody_esm import EmbeddingStore, StoreError
from antibody_esm.specs import ResolvedExtractorSpec
from antibody_esm.store import writer as adding
from antibody_esm.store.claims import Claims
from antibody_esm.store.folder import Folder
from antibody_esm.store.store import MemoryStore
from effort import examples
from stores import OTHER, SPEC, rows_of


def writing(root: Path) -> AbstractContextManager[adding.Writer]:
    return adding.writing(Folder(root, SPEC.resolve()), SPEC)


@given(st.lists(strategies.sequences(), unique=True, min_size=1), st.data())
@examples(30)
def test_put_then_get_is_identity_in_any_order_and_any_subset(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[str], data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("store")
    for store in (EmbeddingStore(root), MemoryStore()):
        cut = data.draw(st.integers(0, len(sequences)))
        store.put(SPEC, sequences[:cut], rows_of(sequences[:cut]) if cut else np.empty((0, 4)))
        store.put(SPEC, sequences[cut:], rows_of(sequences[cut:]) if cut < len(sequences) else np.empty((0, 4)))
        wanted = data.draw(st.permutations(sequences))[: data.draw(st.integers(1, len(sequences)))]
        found = store.get(SPEC, [*wanted, wanted[0].lower(), "W" * 31])
        assert found.keys() == set(wanted)
        assert np.array_equal(np.stack([found[one] for one in wanted]), rows_of(wanted))
    assert np.array_equal(EmbeddingStore(root).gather(SPEC, [*wanted, wanted[0]]), rows_of([*wanted, wanted[0]]))
    assert EmbeddingStore(root).count(SPEC) == len(sequences)


@given(one=strategies.resolved_extractors, other=strategies.resolved_extractors)
@examples(30)
def test_two_specs_never_share_a_row(
    tmp_path_factory: pytest.TempPathFactory, one: ResolvedExtractorSpec, other: ResolvedExtractorSpec
) -> None:
    root = tmp_path_factory.mktemp("store")
    for store in (EmbeddingStore(root), MemoryStore()):
        store.put(one, ["EVQL"], rows_of(["EVQL"]))
        assert (store.get(other, ["EVQL"]) != {}) == (one == other)


def test_making_and_asking_a_store_touches_no_disk(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "store")
    assert store.get(SPEC, ["EVQL"]) == {}
    assert store.count(SPEC) == 0
    assert not (tmp_path / "store").exists()


def test_folders_are_private_to_the_user(tmp_path: Path) -> None:
    EmbeddingStore(tmp_path / "a" / "store").put(SPEC, ["EVQL"], rows_of(["EVQL"]))
    for folder in (tmp_path / "a" / "store", tmp_path / "a" / "store" / SPEC.resolve().fingerprint):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folders_are_private_in_a_public_one_and_shared_in_one_that_is_shared(tmp_path: Path) -> None:
    for mode, expected in ((0o755, 0o700), (0o777, 0o777), (0o2770, 0o2770)):
        root = tmp_path / str(mode)
        root.mkdir()
        root.chmod(mode)
        EmbeddingStore(root).put(SPEC, ["EVQL"], rows_of(["EVQL"]))
        folder = root / SPEC.resolve().fingerprint
        claims = Claims(folder)
        claims.open()
        claims.close()
        assert [stat.S_IMODE(one.stat().st_mode) for one in (folder, folder / "claims")] == [expected] * 2


def test_the_whole_spec_lies_beside_the_rows_and_is_compared(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.put(SPEC, ["EVQL"], rows_of(["EVQL"]))
    store.put(OTHER, ["EVQL"], rows_of(["QVQL"]))
    mine, other = tmp_path / SPEC.resolve().fingerprint, tmp_path / OTHER.resolve().fingerprint
    description = json.loads((mine / "spec.json").read_text())
    assert description["spec"] == json.loads(SPEC.resolve().canonical_json)
    assert description["written_as"]["model"] == "any"
    (mine / "spec.json").write_bytes((other / "spec.json").read_bytes())
    for use in (lambda: store.get(SPEC, ["EVQL"]), lambda: store.put(SPEC, ["AA"], rows_of(["AA"]))):
        with pytest.raises(StoreError, match="does not match its name") as caught:
            use()
        assert caught.value.path == mine / "spec.json"


@pytest.mark.parametrize("content", [b'{"format": 2}', b'{"format": 2, "spec": []}'])
def test_a_description_of_another_format_is_an_error(tmp_path: Path, content: bytes) -> None:
    store = EmbeddingStore(tmp_path)
    store.put(SPEC, ["EVQL"], rows_of(["EVQL"]))
    path = tmp_path / SPEC.resolve().fingerprint / "spec.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="its format is not 1"):
        store.get(SPEC, ["EVQL"])
    assert path.read_bytes() == content


NO_DESCRIPTIONS = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 100_000,
    b'{"format": 1}',
    b'{"format": 1, "spec": {"a": 1}}',
]


@pytest.mark.parametrize("content", NO_DESCRIPTIONS)
@pytest.mark.parametrize("use", ["read", "write"])
def test_a_damaged_description_is_written_again_from_the_spec_asked_for_with_a_warning(
    tmp_path: Path, content: bytes, use: str
) -> None:
    EmbeddingStore(tmp_path).put(SPEC, ["EVQL"], rows_of(["EVQL"]))
    path = tmp_path / SPEC.resolve().fingerprint / "spec.json"
    whole = path.read_bytes()
    path.write_bytes(content)
    store = EmbeddingStore(tmp_path)
    with pytest.warns(RuntimeWarning, match="it is rewritten from the requested spec"):
        store.get(SPEC, ["EVQL"]) if use == "read" else store.put(SPEC, ["QVQL"], rows_of(["QVQL"]))
    assert path.read_bytes() == whole
    assert np.array_equal(EmbeddingStore(tmp_path).get(SPEC, ["EVQL"])["EVQL"], rows_of(["EVQL"])[0])
    assert not list(path.parent.glob("*.tmp"))


def test_a_damaged_description_that_cannot_be_written_again_keeps_no_reader_from_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EmbeddingStore(tmp_path)
    store.put(SPEC, ["EVQL"], rows_of(["EVQL"]))
    (tmp_path / SPEC.resolve().fingerprint / "spec.json").write_bytes(b"{")
    monkeypatch.setattr("antibody_esm.store.folder.secrets.token_hex", lambda n: "no/such/folder")
    with pytest.warns(RuntimeWarning, match="it is rewritten"):
        assert set(EmbeddingStore(tmp_path).get(SPEC, ["EVQL"])) == {"EVQL"}


def test_a_flipped_byte_in_a_row_is_noticed_said_and_not_used(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    sequences = ["EVQL", "QVQL", "AAAA"]
    store.put(SPEC, sequences, rows_of(sequences))
    (segment,) = tmp_path.rglob("*.joblib")
    content = segment.read_bytes()
    place = content.index(rows_of(["QVQL"]).tobytes())
    segment.write_bytes(content[: place + 2] + b"\x55" + content[place + 3 :])
    with pytest.warns(RuntimeWarning, match="1 damaged rows were not used"):
        found = EmbeddingStore(tmp_path).get(SPEC, sequences)
    assert found.keys() == {"EVQL", "AAAA"}
    store.put(SPEC, ["QVQL"], rows_of(["QVQL"]))
    assert np.array_equal(EmbeddingStore(tmp_path).gather(SPEC, sequences), rows_of(sequences))


def test_a_segment_moved_to_another_spec_is_not_used(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.put(SPEC, ["EVQL"], rows_of(["EVQL"]))
    store.put(OTHER, ["QVQL"], rows_of(["QVQL"]))
    (segment,) = (tmp_path / SPEC.resolve().fingerprint).glob("*.joblib")
    segment.rename(tmp_path / OTHER.resolve().fingerprint / segment.name)
    with pytest.warns(RuntimeWarning, match="1 damaged rows"):
        assert EmbeddingStore(tmp_path).get(OTHER, ["EVQL"]) == {}


def test_what_was_not_finished_is_not_read(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.put(SPEC, ["EVQL"], rows_of(["EVQL"]))
    (segment,) = tmp_path.rglob("*.joblib")
    segment.with_suffix(".tmp").write_bytes(segment.read_bytes()[:50])
    assert EmbeddingStore(tmp_path).count(SPEC) == 1


def test_many_small_segments_become_few_and_no_row_is_lost_meanwhile(tmp_path: Path) -> None:
    reader, sequences = EmbeddingStore(tmp_path), ["W" * n for n in range(1, 101)]
    with writing(tmp_path) as writer:
        for done, sequence in enumerate(sequences, 1):
            writer.put([sequence], rows_of([sequence]))
            assert len(list(tmp_path.rglob("*.joblib"))) < 2 * 16
            assert reader.count(SPEC) == done
            assert np.array_equal(reader.gather(SPEC, sequences[:done]), rows_of(sequences[:done]))
    assert len(list(tmp_path.rglob("*.joblib"))) == 1
    assert np.array_equal(reader.gather(SPEC, sequences), rows_of(sequences))
    assert np.array_equal(EmbeddingStore(tmp_path).gather(SPEC, sequences[::-1]), rows_of(sequences[::-1]))


def test_segments_are_merged_even_when_the_work_is_interrupted(tmp_path: Path) -> None:
    def work() -> None:
        with writing(tmp_path) as writer:
            writer.put(["A"], rows_of(["A"]))
            writer.put(["C"], rows_of(["C"]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(list(tmp_path.rglob("*.joblib"))) == 1
    assert EmbeddingStore(tmp_path).count(SPEC) == 2


def test_a_damaged_row_is_read_from_an_older_segment_that_has_it_too(tmp_path: Path) -> None:
    EmbeddingStore(tmp_path).put(SPEC, ["EVQL"], rows_of(["EVQL"]))
    newest = Folder(tmp_path, SPEC.resolve()).write(["EVQL"], rows_of(["EVQL"])).path
    content = newest.read_bytes()
    place = content.index(rows_of(["EVQL"]).tobytes())
    newest.write_bytes(content[:place] + b"\x55" + content[place + 1 :])
    with pytest.warns(RuntimeWarning, match="1 damaged rows"):
        assert np.array_equal(EmbeddingStore(tmp_path).gather(SPEC, ["EVQL"]), rows_of(["EVQL"]))
    assert EmbeddingStore(tmp_path).count(SPEC) == 1


def test_a_damaged_row_is_not_carried_into_a_merged_segment(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        writer.put(["EVQL"], rows_of(["EVQL"]))
        (segment,) = tmp_path.rglob("*.joblib")
        content = segment.read_bytes()
        place = content.index(rows_of(["EVQL"]).tobytes())
        segment.write_bytes(content[:place] + b"\x55" + content[place + 1 :])
        writer.put(["QVQL"], rows_of(["QVQL"]))
        with pytest.warns(RuntimeWarning, match="1 damaged rows were left out"):
            writer.tidy()
    assert EmbeddingStore(tmp_path).get(SPEC, ["EVQL", "QVQL"]).keys() == {"QVQL"}


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EmbeddingStore(tmp_path)
    store.put(SPEC, ["EVQL"], rows_of(["EVQL"]))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="cannot be written: No space left"):
        store.put(SPEC, ["QVQL"], rows_of(["QVQL"]))
    monkeypatch.undo()
    assert EmbeddingStore(tmp_path).get(SPEC, ["EVQL", "QVQL"]).keys() == {"EVQL"}
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(
    "rows", [np.ones(4), np.ones((2, 4)), np.full((1, 4), np.nan), np.full((1, 4), np.inf), np.ones((1, 4, 1))]
)
def test_what_is_not_one_finite_row_a_sequence_is_refused(tmp_path: Path, rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match="row"):
        EmbeddingStore(tmp_path).put(SPEC, ["EVQL"], rows)


def test_gather_names_what_is_missing(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.put(SPEC, ["EVQL"], rows_of(["EVQL"]))
    with pytest.raises(StoreError, match="2 sequences have no row, first AA"):
        store.gather(SPEC, ["EVQL", "AA", "AC", "AA"])


def _write(root: str, number: int) -> None:
    store = EmbeddingStore(root)
    for sequence in ("A" * (1 + number), "C" * (1 + number), "W"):
        store.put(SPEC, [sequence], np.full((1, 4), len(sequence), np.float32))


def test_many_processes_may_write_at_once_and_a_reader_sees_what_is_finished(tmp_path: Path) -> None:
    reader = EmbeddingStore(tmp_path)
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    writers = [context.Process(target=_write, args=(str(tmp_path), number)) for number in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        for sequence, row in reader.get(SPEC, ["A", "AA", "CCC", "W"]).items():
            assert (row == len(sequence)).all()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert reader.count(SPEC) == 9
    everything = ["A" * n for n in range(1, 5)] + ["C" * n for n in range(1, 5)] + ["W"]
    assert reader.gather(SPEC, everything)[:, 0].tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1]


def test_a_store_in_memory_shares_none_with_its_callers(tmp_path: Path) -> None:
    for store in (MemoryStore(), EmbeddingStore(tmp_path)):
        rows = rows_of(["EVQL"])
        expected = rows.copy()
        store.put(SPEC, ["EVQL"], rows)
        rows[:] = 0
        store.get(SPEC, ["EVQL"])["EVQL"][:] = 7
        assert np.array_equal(store.get(SPEC, ["EVQL"])["EVQL"], expected[0])
        with pytest.raises(ValueError, match="finite"):
            store.put(SPEC, ["AAAA"], np.full((1, 4), np.nan))
