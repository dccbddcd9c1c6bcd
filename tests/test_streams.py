"""Files and iterators that may be larger than memory."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from antibody_esm import (
    DatasetError,
    EmbeddingStore,
    EnsembleSpec,
    Extractor,
    ExtractorSpec,
    RuntimeSpec,
    SequenceError,
    embed,
    embed_stream,
)
from chains import HEAVY, LIGHT
from effort import examples

SEQUENCES = ["EVQLV", "QVQ", "evqlv", "DIQMTQ", "X", "QVQ", "A"]


@pytest.fixture(scope="module")
def extractor(tiny: ExtractorSpec) -> Extractor:
    return Extractor(tiny, RuntimeSpec(workers=1))


def write(path: Path, sequences: list[str]) -> Path:
    frame = pd.DataFrame({"id": [f"n{i}" for i in range(len(sequences))], "heavy": sequences})
    if path.name.endswith(".parquet"):
        frame.to_parquet(path)
    elif ".fasta" in path.name:
        text = "".join(f">n{i} chain\n{one[:3]}\n{one[3:]}\n" for i, one in enumerate(sequences))
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in path.name else ",")
    return path


@pytest.mark.parametrize("name", ["a.fasta", "a.fasta.gz", "a.csv", "a.csv.gz", "a.tsv.xz", "a.parquet"])
@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_a_file_gives_its_ids_and_the_vectors_of_its_sequences_in_order(
    name: str, at_once: int, tmp_path: Path, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antibody_esm.data.files._ROWS_AT_ONCE", 2)
    path = write(tmp_path / name, SEQUENCES)
    blocks = list(embed_stream(path, extractor, tmp_path / "store", at_once=at_once))
    assert max(len(block.ids) for block in blocks) == min(at_once, 7)
    assert [one for block in blocks for one in block.ids] == [f"n{i}" for i in range(7)]
    assert [one for block in blocks for one in block.sequences] == [one.upper() for one in SEQUENCES]
    rows = np.concatenate([block.vectors for block in blocks])
    assert np.array_equal(rows, embed(SEQUENCES, extractor))
    assert EmbeddingStore(tmp_path / "store").count(extractor.spec) == 5


@given(st.lists(strategies.sequences(max_size=12), max_size=9), st.integers(1, 10))
@examples(15)
def test_any_iterator_gives_what_embed_gives(extractor: Extractor, sequences: list[str], at_once: int) -> None:
    blocks = list(embed_stream(iter(sequences), extractor, at_once=at_once))
    assert [one for block in blocks for one in block.ids] == [str(i) for i in range(len(sequences))]
    if sequences:
        assert np.array_equal(np.concatenate([block.vectors for block in blocks]), embed(sequences, extractor))


def test_an_iterator_is_asked_for_no_more_than_a_block_ahead(extractor: Extractor) -> None:
    taken: list[int] = []

    def endless() -> Iterator[str]:
        number = 0
        while True:
            taken.append(number)
            yield "EVQ" + "A" * (number % 3)
            number += 1

    stream = embed_stream(endless(), extractor, at_once=4)
    assert taken == []
    next(stream), next(stream)
    assert len(taken) == 8


def test_what_is_wrong_in_a_file_is_said_before_anything_runs(tmp_path: Path, extractor: Extractor) -> None:
    before = extractor.computed
    path = write(tmp_path / "a.fasta", ["EVQL"] * 5 + ["EV-L", "EVQL", "E1"])
    with pytest.raises(SequenceError) as caught:
        embed_stream(path, extractor, tmp_path / "store", at_once=2)
    assert [(row.index, row.position) for row in caught.value.rows] == [(5, 2), (7, 1)]
    long = write(tmp_path / "long.csv", ["EVQL", "W" * 1023])
    with pytest.raises(
        SequenceError, match=r"line 3 \(id n1\), position 1023: 1023 residues, at most 1022 are allowed"
    ):
        embed_stream(long, extractor)
    with pytest.raises(DatasetError, match="no such file"):
        embed_stream(tmp_path / "none.fasta", extractor)
    assert extractor.computed == before
    assert not (tmp_path / "store").exists()


def test_a_bad_row_of_an_iterator_is_counted_from_its_beginning(extractor: Extractor) -> None:
    stream = embed_stream(iter(["EVQL", "QVQ", "A", "E-"]), extractor, at_once=2)
    assert len(next(stream).ids) == 2
    with pytest.raises(SequenceError, match=r"sequence 4 \(index 3\), position 2"):
        next(stream)


def test_a_stream_that_was_left_goes_on_where_it_was(tmp_path: Path, tiny: ExtractorSpec) -> None:
    path = write(tmp_path / "a.csv", SEQUENCES)
    first = embed_stream(path, tiny, tmp_path / "store", at_once=3)
    next(first)
    del first
    again = Extractor(tiny)
    assert sum(len(block.ids) for block in embed_stream(path, again, tmp_path / "store", at_once=2)) == 7
    assert again.computed == 3, "of five, two were there"


def test_pairs_and_ensembles_stream_too(tmp_path: Path, tiny: ExtractorSpec) -> None:
    pairs = [(HEAVY, LIGHT), (LIGHT, HEAVY)]
    (block,) = embed_stream(iter(pairs), tiny)
    assert np.array_equal(block.vectors, embed(pairs, tiny))
    both = EnsembleSpec(members=(tiny, tiny.model_copy(update={"layer": 1})))
    (block,) = embed_stream(write(tmp_path / "a.csv", SEQUENCES), both, tmp_path / "store")
    assert np.array_equal(block.vectors, embed(SEQUENCES, both))


def test_a_stream_from_the_store_needs_no_weights(tmp_path: Path, extractor: Extractor) -> None:
    path = write(tmp_path / "a.csv", SEQUENCES)
    expected = np.concatenate([block.vectors for block in embed_stream(path, extractor, tmp_path / "store")])
    gone = extractor.pinned.model_copy(update={"model": "not/there"})
    (block,) = embed_stream(path, gone, tmp_path / "store")
    assert np.array_equal(block.vectors, expected)
