import json
from pathlib import Path

import numpy as np
import pytest

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, StoreError, embed
from antibody_esm.store.claims import Claims
from antibody_esm.store.inspection import readable
from stores import MAX, OTHER, SEQUENCES, SPEC, flip, folder_of, rows_of


def test_stats_count_what_is_there(store: EmbeddingStore) -> None:
    store.put(SPEC, ["EVQL", "WWWW"], rows_of(["EVQL", "WWWW"]))
    (folder_of(store, MAX) / "x.tmp").write_bytes(b"12345")
    found = {one.fingerprint: one for one in store.stats().specs}
    mean, max_ = found[SPEC.resolve().fingerprint], found[MAX.resolve().fingerprint]
    assert (mean.rows, mean.dim, mean.segments, mean.leftovers, mean.writers) == (5, 4, 2, 0, 0)
    assert (max_.rows, max_.dim, max_.segments, max_.leftovers) == (2, 5, 1, 5)
    assert mean.bytes == sum(path.stat().st_size for path in folder_of(store, SPEC).glob("*.joblib"))
    assert (store.stats().rows, mean.spec, max_.spec) == (7, SPEC, MAX)
    assert mean.written is not None
    text = str(store.stats())
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "5 B left over; gc removes it" in text
    assert "layer 6, max" in text
    claims = Claims(folder_of(store, MAX))
    claims.open()
    assert "1 writing now" in str(store.stats())
    claims.close()


def test_an_empty_store_has_no_stats(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "none")
    assert store.stats().specs == store.verify().specs == store.gc(keep=[]).items == ()
    assert store.stats().bytes == 0
    assert str(store.stats()).splitlines()[-1] == "0 specs, 0 rows, 0 B"
    assert not (tmp_path / "none").exists()


def test_verify_finds_every_damaged_row(store: EmbeddingStore) -> None:
    assert store.verify().sound
    assert "every row is what was written" in str(store.verify())
    flip(store, SPEC, "AAAA")
    (segment,) = folder_of(store, MAX).glob("*.joblib")
    segment.write_bytes(segment.read_bytes()[:100])
    with pytest.warns(RuntimeWarning, match="is cut off"):
        found = EmbeddingStore(store.root).verify()
    checks = {one.fingerprint: one for one in found.specs}
    mean, max_ = checks[SPEC.resolve().fingerprint], checks[MAX.resolve().fingerprint]
    assert (mean.rows, mean.damaged_rows, mean.damaged_files) == (3, 1, 0)
    assert (max_.rows, max_.damaged_rows, max_.damaged_files) == (0, 0, 1)
    assert not found.sound
    assert all(len(line) <= 80 for line in str(found).splitlines())


def test_verify_finds_a_sequence_that_is_not_the_one_its_key_was_made_from(store: EmbeddingStore) -> None:
    (segment,) = folder_of(store, SPEC).glob("*.joblib")
    segment.write_bytes(segment.read_bytes().replace(b"AAAACCCC", b"AAAACCCW"))
    assert [one.damaged_rows for one in store.verify().specs if one.rows > 2] == [1]


def test_verify_computes_a_sample_again_and_says_how_far_it_is_off(tiny: ExtractorSpec, tmp_path: Path) -> None:
    sequences = ["W" * n for n in range(1, 31)]
    embed(sequences, tiny, tmp_path)
    extractor = Extractor(tiny)
    (check,) = EmbeddingStore(tmp_path).verify(extractor, sample=10).specs
    assert (check.rows, check.recomputed, check.max_difference) == (30, 10, 0.0)
    assert extractor.computed == 10
    assert "10 rows computed again" in str(EmbeddingStore(tmp_path).verify(extractor, sample=10))
    (all_,) = EmbeddingStore(tmp_path).verify(extractor, sample=100).specs
    assert (all_.recomputed, all_.max_difference) == (30, 0.0)

    wrong = EmbeddingStore(tmp_path / "wrong")
    wrong.put(tiny, sequences, Extractor(tiny).embed(sequences) + np.float32(0.25))
    (check,) = wrong.verify(extractor).specs
    assert check.sound, "checksums say that rows are what was written, not that they are right"
    assert check.max_difference == pytest.approx(0.25, abs=1e-5)
    other = Extractor(tiny.model_copy(update={"pooling": "max"}))
    assert [one.max_difference for one in wrong.verify(other).specs] == [None]


def test_a_folder_with_a_description_of_something_else_is_left_out_and_said(store: EmbeddingStore) -> None:
    description = folder_of(store, MAX) / "spec.json"
    fields = json.loads(description.read_text())
    for broken in ({**fields, "spec": {}}, {**fields, "spec": {**fields["spec"], "layer": 7}}, {"format": 99}, []):
        description.write_text(json.dumps(broken))
        with pytest.warns(RuntimeWarning, match="left out"):
            assert len(store.stats().specs) == 1
    description.write_text(json.dumps({**fields, "written_as": {**fields["written_as"], "pooling": "mean"}}))
    with pytest.warns(RuntimeWarning, match="contradict each other"):
        assert len(store.stats().specs) == 1


def test_a_miss_says_why(store: EmbeddingStore, tmp_path: Path) -> None:
    wanted = SPEC.model_copy(update={"layer": 5})
    assert store.explain(wanted) == ["layer 6 -> 5"]
    with pytest.raises(StoreError, match=r"there are rows of any, layer 6, mean: layer 6 -> 5"):
        store.gather(wanted, ["EVQL"])
    with pytest.raises(StoreError, match="model bytes changed"):
        store.gather(OTHER, ["EVQL"])
    with pytest.raises(StoreError, match="the store is empty"):
        EmbeddingStore(tmp_path / "none").gather(SPEC, ["EVQL"])
    assert EmbeddingStore(tmp_path / "none").explain(SPEC) == []


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1.5e9, "1.5 GB"), (4.93e12, "4.93 TB")]
)
def test_sizes_are_read_by_people(size: float, text: str) -> None:
    assert readable(size) == text


def test_rows_whose_description_is_lost_are_not_called_sound(store: EmbeddingStore) -> None:
    description = folder_of(store, MAX) / "spec.json"
    content = description.read_bytes()
    for lose in (description.unlink, lambda: description.write_bytes(b"")):
        lose()
        with pytest.warns(RuntimeWarning, match="left out"):
            found = EmbeddingStore(store.root).verify()
        assert not found.sound
        assert len(found.left_out) == 1
        assert all(len(line) <= 80 or "/" in line for line in str(found).splitlines())
        description.write_bytes(content)
    description.unlink()
    store.put(MAX, ["WWWW"], rows_of(["WWWW"], 5))
    assert store.verify().sound, "who asks for the spec mends it"
    assert store.count(MAX) == 3


def test_what_was_repaired_is_sound(store: EmbeddingStore) -> None:
    (segment,) = folder_of(store, MAX).glob("*.joblib")
    segment.write_bytes(segment.read_bytes()[:100])
    again = EmbeddingStore(store.root)
    with pytest.warns(RuntimeWarning, match="cut off"):
        again.put(MAX, SEQUENCES[:2], rows_of(SEQUENCES[:2], 5))
    found = again.verify()
    assert found.sound
    assert "1 damaged files set aside; gc removes them" in str(found)
