"""Every crafted checkpoint ends in a CheckpointError, before a model is built."""

import io
import json
import shutil
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest
import torch
from safetensors.torch import load_file, save_file

import needed
from antibody_esm import CheckpointError
from antibody_esm.plm.checkpoints import Checkpoint, locate
from antibody_esm.plm.weights import read_weights
from antibody_esm.testing import tiny_checkpoint


@pytest.fixture
def mine(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoints["esm"], tmp_path / "mine"))


def read(folder: Path) -> None:
    read_weights(locate(str(folder)), "AutoModel", torch.float32)


def configure(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 0}, "num_attention_heads 0"),
        ({"num_attention_heads": 7}, "7 heads, which do not divide"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps nan"),
        ({"layer_norm_eps": float("inf")}, "layer_norm_eps inf"),
        ({"layer_norm_eps": None}, "layer_norm_eps None"),
        ({"layer_norm_eps": -1}, "layer_norm_eps -1"),
        ({"hidden_size": -32}, "hidden_size -32"),
        ({"hidden_size": True}, "hidden_size True"),
        ({"hidden_size": 1e300}, "hidden_size 1e[+]300"),
        ({"hidden_size": 10**400}, "hidden_size beyond"),
        ({"hidden_size": [1]}, "hidden_size"),
        ({"hidden_size": 2**30, "num_attention_heads": 1}, "hidden_size 1073741824, and no weight"),
        ({"intermediate_size": 2**30}, "intermediate_size 1073741824, and no weight"),
        ({"vocab_size": 2**30}, "vocab_size 1073741824, and no weight"),
        ({"max_position_embeddings": 2**30}, "1073741824 positions, and no weight"),
        ({"model_type": [[]]}, "model_type"),
        ({"tie_word_embeddings": "../x"}, "its weights cannot be loaded"),
        ({"hidden_dropout_prob": [[[[]]]]}, "its weights cannot be loaded"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers 1000000000, more than 10,000"),
        ({"num_hidden_layers": 9_999}, "has 9999 layers and its weights have"),
        ({"num_hidden_layers": 1}, "has 1 layers and its weights have"),
    ],
    ids=str,
)
def test_a_configuration_that_no_model_has_is_refused_before_it_is_built(
    mine: Path, changes: dict[str, Any], message: str
) -> None:
    configure(mine, **changes)
    with pytest.raises(CheckpointError, match=message):
        read(mine)


@pytest.mark.parametrize("content", [b'{"a":' * 100_000, b'{"a":' * 101 + b"1" + b"}" * 101, b"\xff", b"[" * 10_000])
def test_a_nested_configuration_is_refused(mine: Path, content: bytes) -> None:
    (mine / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"its config\.json cannot be read"):
        read(mine)


@pytest.mark.parametrize(
    "index",
    [
        {"weight_map": {"a": None}},
        {"weight_map": {"a": ["b"]}},
        {"weight_map": {"a": {}}},
        {"weight_map": {"a": ""}},
        {"weight_map": {"a": "a\0b"}},
        {"weight_map": {"a": 1}},
        {"weight_map": {"a": ".."}},
        {"weight_map": {"a": "../x"}},
        {"weight_map": {"a": "/etc/passwd"}},
        {"weight_map": []},
        {"weight_map": None},
        [],
        None,
    ],
    ids=str,
)
def test_an_index_whose_shards_are_no_names_is_refused(mine: Path, index: Any) -> None:
    (mine / "model.safetensors").unlink()
    (mine / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError):
        read(mine)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        (10).to_bytes(8, "little") + b"[" * 10,
        (500_000).to_bytes(8, "little") + b"[" * 500_000,
        (2).to_bytes(8, "little") + b"[]",
        (26).to_bytes(8, "little") + b'{"a":{"shape":[-1,"huge"]}}',
    ],
)
def test_a_damaged_header_of_safetensors_is_refused(mine: Path, content: bytes) -> None:
    (mine / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="its weights cannot be loaded"):
        read(mine)


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_of_torch_are_compared_without_being_read(mine: Path, zipped: bool) -> None:
    weights = load_file(mine / "model.safetensors")
    (mine / "model.safetensors").unlink()
    torch.save(weights, mine / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    read(mine)
    configure(mine, intermediate_size=2**30)
    with pytest.raises(CheckpointError, match="no weight has that length"):
        read(mine)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02." * 3, b"(" * 100_000])
def test_damaged_weights_of_torch_are_refused(mine: Path, content: bytes) -> None:
    (mine / "model.safetensors").unlink()
    (mine / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(CheckpointError, match="its weights cannot be loaded"):
        read(mine)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: archive(files, ZIP_DEFLATED), "packed files"),
        (lambda files: archive(files | {"archive/data/0": bytes(10**8)}, ZIP_DEFLATED), "packed files"),
        (lambda files: archive(files | {"archive/more.pkl": bytes(65 * 10**6)}), "list of tensors is too long"),
        (lambda files: lying(archive(files), 2**31), "more bytes than it has"),
        (lambda files: archive(files)[:-200], "damaged archive"),
    ],
    ids=["packed", "a bomb", "a long list", "a size that is not there", "truncated"],
)
def test_an_archive_that_torch_would_not_write_is_refused_unread(
    mine: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, bytes]], bytes], message: str
) -> None:
    path = mine / "pytorch_model.bin"
    torch.save(load_file(mine / "model.safetensors"), path)
    (mine / "model.safetensors").unlink()
    read(mine)
    with ZipFile(path) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    path.write_bytes(archive(files))
    read(mine)  # an archive that these tests wrote, and nothing else, is not the reason
    path.write_bytes(change(files))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(CheckpointError, match=message):
        read(mine)


def archive(files: dict[str, bytes], compression: int = ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with ZipFile(content, "w", compression) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return content.getvalue()


def lying(content: bytes, size: int) -> bytes:
    """Declare another unpacked size of the first file in the list of an archive."""
    at = content.index(b"PK\x01\x02") + 24
    return content[:at] + size.to_bytes(4, "little") + content[at + 4 :]


@pytest.mark.parametrize("name", ["encoder.layer.0[", "(a+)+$", "a**", "", "a b", "é", "a\n"])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_name_of_a_tensor_that_is_a_pattern_is_refused(mine: Path, name: str, file: str) -> None:
    """transformers takes names for regular expressions: some do not compile, others never end."""
    weights = load_file(mine / "model.safetensors") | {name: torch.zeros(1)}
    (mine / "model.safetensors").unlink()
    save_file(weights, mine / file, {"format": "pt"}) if file.endswith("s") else torch.save(weights, mine / file)
    with pytest.raises(CheckpointError, match="odd characters"):
        read(mine)


SMALL = {
    "expanded": lambda tensor: torch.zeros(1).expand(tensor.shape),
    "one row, expanded": lambda tensor: torch.zeros(tensor.shape[-1:]).expand(tensor.shape),
    "overlapping": lambda tensor: torch.zeros(2 * max(tensor.shape)).as_strided(tensor.shape, (1,) * tensor.ndim),
    "sparse": lambda tensor: torch.zeros(tensor.shape).to_sparse(),
    "without numbers": lambda tensor: torch.empty(tensor.shape, device="meta"),
}
"""Tensors whose copies need far more memory than they have bytes in a file."""


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("of", ["esm", "ablang2", "sapiens"])
def test_weights_that_unfold_in_memory_are_refused_unread(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str, zipped: bool, kind: str
) -> None:
    path, checkpoint = torch_weights(of, checkpoints["esm"], tmp_path)
    content = torch.load(path, map_location="cpu", weights_only=False)  # files of this machine
    weights = content["model"] if of == "sapiens" else content
    weights |= {name: SMALL[kind](weights[name]) for name in weights if weights[name].ndim == 2}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    monkeypatch.setattr(torch, "load", on_meta_only(torch.load))
    with pytest.raises(CheckpointError, match=r"repeats its numbers|sparse|bytes"):
        read_weights(checkpoint, "AutoModel", torch.float32)


@pytest.mark.parametrize("of", ["esm", "ablang2", "sapiens"])
def test_packed_weights_are_refused_whatever_reads_them(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    path, checkpoint = torch_weights(of, checkpoints["esm"], tmp_path)
    torch.save(
        torch.load(path, map_location="cpu", weights_only=False), path
    )  # also where the authors' file is of the older kind
    read_weights(checkpoint, "AutoModel", torch.float32)
    with ZipFile(path) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    path.write_bytes(archive(files, ZIP_DEFLATED))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(CheckpointError, match="packed files"):
        read_weights(checkpoint, "AutoModel", torch.float32)


def torch_weights(of: str, esm: Path, folder: Path) -> tuple[Path, Checkpoint]:
    """Weights of PyTorch, and the checkpoint with them."""
    if of == "sapiens":
        checkpoint, name = locate("sapiens_vh"), "checkpoint_vh.pt"
        with torch.serialization.safe_globals([Namespace]):
            content = torch.load(checkpoint.files[name], map_location="cpu", weights_only=True)
        torch.save({part: content[part] for part in ("args", "model")}, folder / name)
        return folder / name, replace(checkpoint, files=checkpoint.files | {name: folder / name})
    if of == "ablang2":
        if not needed.ablang2():
            needed.leave("ablang2")
        made = tiny_checkpoint("ablang2", folder / of, dim=64, heads=4)
        return made / "model.pt", locate(str(made))
    made = Path(shutil.copytree(esm, folder / of))
    torch.save(load_file(made / "model.safetensors"), made / "pytorch_model.bin")
    (made / "model.safetensors").unlink()
    return made / "pytorch_model.bin", locate(str(made))


def on_meta_only(load: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.load` that fails where it would read numbers."""

    def on_meta(*args: Any, **options: Any) -> Any:
        assert options["map_location"] == "meta", "its numbers were read"
        return load(*args, **options)

    return on_meta


def test_a_matrix_with_several_names_or_in_another_order_is_read(mine: Path) -> None:
    weights = load_file(mine / "model.safetensors")
    whole = torch.cat([tensor.flatten() for tensor in weights.values()])  # all weights in one storage
    parts = whole.split([tensor.numel() for tensor in weights.values()])
    flat = {name: part.view(tensor.shape) for part, (name, tensor) in zip(parts, weights.items(), strict=True)}
    turned = {name: tensor.t().contiguous().t() if tensor.ndim == 2 else tensor for name, tensor in weights.items()}
    (mine / "model.safetensors").unlink()
    embeddings = next(tensor for name, tensor in weights.items() if name.endswith("word_embeddings.weight"))
    tied = {"lm_head.decoder.weight": embeddings, "decoder.embed_tokens.weight": embeddings}
    for content in (flat, turned, weights | tied):
        torch.save(content, mine / "pytorch_model.bin")
        read(mine)
