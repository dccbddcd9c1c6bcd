"""Failures of other people's caches, replayed here: each named after where it happened."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from antibody_esm import (
    EmbeddingStore,
    Extractor,
    ExtractorSpec,
    RuntimeSpec,
    Trainer,
    XGBoostSpec,
    embed,
    load_dataset,
)
from antibody_esm.sequences import AMINO_ACIDS
from antibody_esm.testing import tiny_checkpoint
from conftest import BACKBONES

ONE_WORKER = RuntimeSpec(workers=1)


def test_predecessor_whose_key_left_out_the_model(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """Its cache file was named after the data alone, so every other model was given the first one's embeddings."""
    sequences, store = ["EVQLVESGG", "QVQLQQSGA"], tmp_path / "store"
    models = [*(checkpoints[family] for family in BACKBONES), tiny_checkpoint("esm", tmp_path / "same-shape", seed=1)]
    rows = [embed(sequences, model, store) for model in models]
    for model, row in zip(models, rows, strict=True):
        assert np.array_equal(row, Extractor(model).embed(sequences))
    assert len({row.tobytes() for row in rows}) == len(models)
    assert len(EmbeddingStore(store).stats().specs) == len(models)


def test_predecessor_whose_key_left_out_the_settings(tiny: ExtractorSpec, tmp_path: Path) -> None:
    """Pooling, layer and truncation were settings that the cached file outlived."""
    sequences = ["EVQLVESGG", "QVQLQQSGA"]
    for changes in (
        {},
        {"pooling": "max"},
        {"pooling": "cls"},
        {"layer": 1},
        {"special_tokens": "include"},
        {"precision": "bfloat16"},
        {"storage": "int8"},
        {"max_length": 5, "truncation": True},
    ):
        spec = tiny.model_copy(update=changes)
        assert np.array_equal(embed(sequences, spec, tmp_path), Extractor(spec).embed(sequences)), changes


def test_biotrainer_whose_key_left_out_the_sequences(tiny: ExtractorSpec, tmp_path: Path) -> None:
    """It reused a file of embeddings for a FASTA file whose sequences had been edited under the same ids."""
    before, after = tmp_path / "before.csv", tmp_path / "after.csv"
    before.write_text("id,heavy,label\na,EVQLVESGG,0\nb,QVQLQQSGA,1\n")
    after.write_text("id,heavy,label\na,EVQLVESGW,0\nb,QVQLQQSGA,1\n")
    columns = {"id": "id", "heavy": "heavy", "label": "label"}
    extractor = Extractor(tiny, ONE_WORKER)
    old = embed(load_dataset(before, **columns).sequences, extractor, tmp_path / "store")
    assert extractor.computed == 2
    new = embed(load_dataset(after, **columns).sequences, extractor, tmp_path / "store")
    assert extractor.computed == 3, "the edited one, and not the other"
    assert not np.array_equal(old[0], new[0])
    assert np.array_equal(new, Extractor(tiny).embed(["EVQLVESGW", "QVQLQQSGA"]))


def test_protlms_whose_resumed_run_went_by_record_names(tiny: ExtractorSpec, tmp_path: Path) -> None:
    """It skipped records whose names it had seen: other sequences of one name were given the first one's embedding,
    and one sequence of two names was computed twice."""
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("id,heavy,label\nrecord1,EVQLVESGG,0\nrecord2,QVQLQQSGA,1\n")
    second.write_text("id,heavy,label\nrecord1,DIQMTQSPS,0\nrecord3,QVQLQQSGA,1\n")
    columns = {"id": "id", "heavy": "heavy", "label": "label"}
    extractor = Extractor(tiny, ONE_WORKER)
    embed(load_dataset(first, **columns).sequences, extractor, tmp_path / "store")
    rows = embed(load_dataset(second, **columns).sequences, extractor, tmp_path / "store")
    assert extractor.computed == 3
    assert np.array_equal(rows, Extractor(tiny).embed(["DIQMTQSPS", "QVQLQQSGA"]))


@pytest.mark.parametrize("kind", ["esm", "bert"])
def test_open_instruct_whose_key_left_out_the_tokenizer(kind: str, tmp_path: Path) -> None:
    """Its cached tokens outlived a change of the tokenizer beside the same weights."""
    one = tiny_checkpoint(kind, tmp_path / "one")
    other = tmp_path / "other"
    shutil.copytree(one, other)
    vocabulary = (other / "vocab.txt").read_text().split("\n")
    a, w = vocabulary.index("A"), vocabulary.index("W")
    vocabulary[a], vocabulary[w] = "W", "A"
    (other / "vocab.txt").write_text("\n".join(vocabulary))
    sequences = ["AAAAW", "EVQLV"]
    rows = [embed(sequences, folder, tmp_path / "store") for folder in (one, other)]
    assert np.array_equal(rows[1], Extractor(other).embed(sequences))
    assert not np.array_equal(rows[0][0], rows[1][0])
    assert np.array_equal(rows[0][1], rows[1][1]), "no A and no W: the same tokens, the same weights"
    specs = [ExtractorSpec(model=str(folder)).pin() for folder in (one, other)]
    assert EmbeddingStore(tmp_path / "store").explain(*specs)[0].startswith("model ")
    assert len(EmbeddingStore(tmp_path / "store").stats().specs) == 2


def test_open_instruct_where_a_setting_of_the_tokenizer_changed(tmp_path: Path) -> None:
    folder = tiny_checkpoint("bert", tmp_path / "model")
    before = ExtractorSpec(model=str(folder)).pin()
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"clean_up_tokenization_spaces": False}))
    assert EmbeddingStore(tmp_path).explain(before, ExtractorSpec(model=str(folder))) == ["model bytes changed"]


def test_joblib_memory_for_which_one_more_sequence_is_another_call(tiny: ExtractorSpec, tmp_path: Path) -> None:
    """Appending one sequence to 141,021 computes one row."""
    generator = random.Random(0)
    stored = list({"".join(generator.choices(AMINO_ACIDS, k=30)) for _ in range(141_021)})
    rows = np.random.default_rng(0).standard_normal((len(stored), 32)).astype(np.float32)
    EmbeddingStore(tmp_path).put(tiny, stored, rows)
    extractor = Extractor(tiny, ONE_WORKER)
    found = embed([*stored, "EVQLVESGG"], extractor, tmp_path)
    assert extractor.computed == 1
    assert np.array_equal(found[:-1], rows)
    assert np.array_equal(found[-1:], Extractor(tiny).embed(["EVQLVESGG"]))
    again = Extractor(tiny, ONE_WORKER)
    order = generator.sample(range(len(stored)), len(stored) // 2)
    assert np.array_equal(embed([stored[i] for i in order], again, tmp_path), rows[order])
    assert again.computed == 0


def test_nothing_is_computed_for_folds_other_classifiers_subsets_supersets_and_orders(
    tiny: ExtractorSpec, tmp_path: Path
) -> None:
    data = load_dataset("boughter_flu_cdrs")
    unique = len(set(data.sequences))
    first = Trainer(tiny, "logreg", store=tmp_path)
    first.cross_validate(data)
    assert first.extractor.computed == unique
    for classifier in ("random_forest", XGBoostSpec(n_estimators=3), "knn"):
        trainer = Trainer(tiny, classifier, store=tmp_path)
        trainer.cross_validate(data)
        trainer.fit(data).predict_proba(data.sequences[::-1][:50])
        assert trainer.extractor.computed == 0
    superset = Extractor(tiny)
    embed([*data.sequences[::-1], *data.sequences[:7], "EVQLVESGG", "QVQLQQSGA"], superset, tmp_path)
    assert superset.computed == 2
