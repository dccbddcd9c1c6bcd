"""Mutants of every file that is read raise the package's errors and no others.

300 of each kind, 10,000 with ANTIBODY_ESM_STRESS, then under five seconds and one gigabyte each.
"""

import hashlib
import io
import json
import shutil
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fuzzing
from antibody_esm import Dataset, DatasetError, EmbeddingStore, FineTuneSpec, Predictor, Trainer
from antibody_esm.data.files import read_frames
from antibody_esm.data.labelled_tables import read_dataset
from antibody_esm.model_files import manifest_digest
from antibody_esm.plm.adapters import NAME, Adapter, AdapterFacts, Epoch
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.weights import read_weights
from antibody_esm.store.claims import FOLDER, Claims
from antibody_esm.store.segments import KEY_BYTES
from laid_out import FILES, written
from stores import SEQUENCES, SPEC, rows_of

VH = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
SLOW = 10_000 if fuzzing.STRESS else 60
"""Mutants of readers that take some milliseconds each."""


MANY = 10_000 if fuzzing.STRESS else 20
"""Mutants of each layout."""


def check(finds: dict[str, tuple[int, BaseException]]) -> None:
    told = [f"mutant {number}: {''.join(traceback.format_exception(error)[-3:])}" for number, error in finds.values()]
    assert not finds, "\n".join(told)


def parquet() -> bytes:
    content = io.BytesIO()
    rows = {"id": list("abcd"), "heavy": [VH, VH, VH[:50], None], "label": [0, 1, 1, 0], "kind": list("xxyy")}
    pd.DataFrame(rows).astype({"kind": "category"}).to_parquet(content, row_group_size=2)
    return content.getvalue()


TABLES = {
    "a.csv": f'# comment\nid,heavy,label\na,{VH},0\n"b, c",{VH[:40]},1\n'.encode(),
    "a.tsv": b'{"run": 1}\nsequence\tlabel\nEVQLVESG\t0.5\n',
    "a.fasta": f">a first\n{VH}\n>b\nEVQL\nQVQL\n".encode(),
    "a.parquet": parquet(),
}


@pytest.mark.parametrize("name", TABLES)
def test_mutants_of_tables_raise_dataset_errors_only(tmp_path: Path, name: str) -> None:
    path = tmp_path / name

    def read(mutant: bytes) -> None:
        path.write_bytes(mutant)
        for _ in read_frames(path):
            pass

    check(fuzzing.fuzz(TABLES[name], read))


@pytest.mark.parametrize("name", FILES)
def test_mutants_of_tables_in_every_layout_raise_dataset_errors_that_name_the_file(tmp_path: Path, name: str) -> None:
    path = written(tmp_path)[name]

    def read(mutant: bytes) -> None:
        path.write_bytes(mutant)
        try:
            assert len(read_dataset(path, labelled=False, drop=True)) > 0
        except DatasetError as error:
            assert error.path == path  # noqa: PT017  a data set is as good as an error here

    check(fuzzing.fuzz(path.read_bytes(), read, MANY))


@pytest.fixture(scope="module", params=["logreg", "xgboost"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [VH[i:] + VH[:i] for i in range(40)]
    data = Dataset([f"s{i}" for i in range(40)], texts, label=[i % 2 for i in range(40)])
    return (
        Trainer("descriptors", request.param)
        .fit(data, check=False, scores=False)
        .save(tmp_path_factory.mktemp("m") / "model")
    )


@pytest.mark.parametrize("name", ["manifest.json", "classifier.skops", "training.npz"])
def test_mutants_of_saved_models_raise_store_errors_only(saved: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "model"))
    whole = json.loads((saved / "manifest.json").read_bytes())

    def read(mutant: bytes) -> None:
        manifest = whole
        if name == "manifest.json":
            try:
                manifest = json.loads(mutant)
                manifest["sha256"] = manifest_digest(manifest)
            except (ValueError, TypeError, RecursionError):
                (folder / name).write_bytes(mutant)
                Predictor.load(folder)
                return
        else:
            (folder / name).write_bytes(mutant)
            field = {"classifier.skops": "classifier_sha256", "training.npz": "training_sha256"}[name]
            manifest = whole | {field: hashlib.sha256(mutant).hexdigest()}
            manifest["sha256"] = manifest_digest(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        Predictor.load(folder)

    check(fuzzing.fuzz((saved / name).read_bytes(), read, SLOW))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "pytorch_model.bin"])
def test_mutants_of_checkpoints_raise_checkpoint_errors_only(
    checkpoints: dict[str, Path], tmp_path: Path, name: str
) -> None:
    import torch
    from safetensors.torch import load_file

    folder = Path(shutil.copytree(checkpoints["esm"], tmp_path / "mine"))
    if name.endswith(".bin"):
        torch.save(load_file(folder / "model.safetensors"), folder / name)
        (folder / "model.safetensors").unlink()

    def read(mutant: bytes) -> None:
        (folder / name).write_bytes(mutant)
        read_weights(locate(str(folder)), "AutoModel", torch.float32)

    content = (folder / name).read_bytes()
    check(fuzzing.fuzz(content, read, SLOW))
    if name == "model.safetensors":  # most bytes are weights; these are the header's
        length = 8 + int.from_bytes(content[:8], "little")
        check(fuzzing.fuzz(content[8:length], lambda header: read(_framed(header, content[length:])), SLOW))


def test_mutants_of_an_adapter_raise_checkpoint_errors_only(tmp_path: Path) -> None:
    history = (Epoch(training=0.7, validation=0.6), Epoch(training=0.5, validation=0.4))
    facts = {"base": "0" * 64, "layer": 1, "continuous": False, "rows": 9, "held_out": 2, "epochs": 1}
    spec = FineTuneSpec(rank=1, pooling="attention")
    name = "base_model.model.encoder.layer.0.attention.self.query"
    tensors = {"pooling.weight": np.ones(2, np.float32), f"{name}.lora_A.weight": np.ones((1, 2), np.float32)}
    tensors[f"{name}.lora_B.weight"] = np.ones((2, 1), np.float32)
    adapter = Adapter(tensors, AdapterFacts.model_validate({**facts, "spec": spec, "history": history}))

    def read(mutant: bytes) -> None:
        (tmp_path / NAME).write_bytes(mutant)
        Adapter.read(tmp_path / NAME)

    check(fuzzing.fuzz(adapter.content, read))


def _framed(header: bytes, weights: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + weights


@pytest.mark.parametrize("name", ["spec.json", "segment"])
def test_mutants_of_a_store_raise_store_errors_only(tmp_path: Path, name: str) -> None:
    whole = tmp_path / "whole"
    EmbeddingStore(whole).put(SPEC, SEQUENCES, rows_of(SEQUENCES))
    files = [path for path in whole.rglob("*") if path.is_file()]
    target = next(path for path in files if (path.name == name if "." in name else path.suffix == ".joblib"))
    content = target.read_bytes()

    def read(mutant: bytes) -> None:
        folder = tmp_path / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        (folder / target.relative_to(whole)).write_bytes(mutant)
        store = EmbeddingStore(folder)
        store.get(SPEC, SEQUENCES)
        store.verify()

    check(fuzzing.fuzz(content, read, fuzzing.MUTANTS if fuzzing.STRESS else 100))


def test_mutants_of_claims_neither_raise_nor_change_a_row(tmp_path: Path) -> None:
    """A claim decides who computes, never whether a row is right; one that has no living writer decides nothing."""
    store = EmbeddingStore(tmp_path)
    store.put(SPEC, SEQUENCES[:2], rows_of(SEQUENCES[:2]))
    folder = next(tmp_path.rglob("spec.json")).parent
    keys = [hashlib.sha256(sequence.encode()).digest()[:KEY_BYTES] for sequence in SEQUENCES]
    writer = Claims(folder)
    writer.open()
    writer.take(keys)
    claim = next((folder / FOLDER).iterdir())
    content = claim.read_bytes()
    writer.close()
    assert content
    assert not claim.exists()

    def read(mutant: bytes) -> None:
        other = folder / FOLDER / claim.name
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(mutant)
        mine = Claims(folder)
        mine.open()
        try:
            taken = mine.take(keys)
            assert len(taken) == len(keys)
            assert all(isinstance(name, str) for name in mine.holders(keys))
        finally:
            mine.close()
        rows = store.get(SPEC, SEQUENCES[:2])
        for sequence, row in zip(SEQUENCES[:2], rows_of(SEQUENCES[:2]), strict=True):
            assert (rows[sequence] == row).all()
        other.unlink(missing_ok=True)

    check(fuzzing.fuzz(content, read))
