import contextlib
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm.errors import CheckpointError
from antibody_esm.plm.adapter_folders import AdapterFolder, find_adapter, offer
from antibody_esm.plm.adapters import NAME, PREFIX, Adapter, AdapterFacts, Epoch, Tensor
from antibody_esm.specs.finetuning import FineTuneSpec
from effort import examples

BASE = "0" * 64
METHODS: tuple[Literal["lora", "head"], ...] = ("lora", "head")
POOLINGS: tuple[Literal["mean", "attention"], ...] = ("mean", "attention")


def facts(spec: FineTuneSpec, **fields: Any) -> AdapterFacts:
    history = (Epoch(training=0.7, validation=0.7), Epoch(training=0.5, validation=0.6))
    plain: dict[str, Any] = {
        "layer": 2,
        "continuous": False,
        "rows": 10,
        "held_out": 2,
        "epochs": 1,
        "history": history,
    }
    return AdapterFacts(base=BASE, spec=spec, **plain | fields)


@st.composite
def adapters(draw: st.DrawFn) -> Adapter:
    rank, method = draw(st.integers(1, 4)), draw(st.sampled_from(METHODS))
    pooling = draw(st.sampled_from(POOLINGS)) if method == "lora" else "attention"
    numbers = np.random.default_rng(draw(st.integers(0, 2**32)))
    tensors: dict[str, Tensor] = {}
    names = st.lists(
        st.sampled_from(["encoder.layer.0.attention.self.query", "layers.10.mlp.up_proj", "a"]), min_size=1
    )
    for name in draw(names) if method == "lora" else ():
        inner, outer = draw(st.integers(1, 5)), draw(st.integers(1, 5))
        tensors[f"{PREFIX}{name}.lora_A.weight"] = numbers.standard_normal((rank, inner)).astype(np.float32)
        tensors[f"{PREFIX}{name}.lora_B.weight"] = numbers.standard_normal((outer, rank)).astype(np.float32)
    if pooling == "attention":
        tensors["pooling.weight"] = numbers.standard_normal((draw(st.integers(1, 5)),)).astype(np.float32)
    return Adapter(tensors, facts(FineTuneSpec(method=method, rank=rank, pooling=pooling)))


def an_adapter(scale: float = 1.0) -> Adapter:
    tensors: dict[str, Tensor] = {f"{PREFIX}a.lora_A.weight": np.full((2, 3), scale, np.float32)}
    tensors[f"{PREFIX}a.lora_B.weight"] = np.ones((4, 2), np.float32)
    tensors["pooling.weight"] = np.ones(3, np.float32)
    return Adapter(tensors, facts(FineTuneSpec(rank=2, pooling="attention")))


@given(adapters())
@examples(100)
def test_an_adapter_is_read_as_it_was_written(adapter: Adapter) -> None:
    again = Adapter.parse(adapter.content)
    assert again.facts == adapter.facts
    assert again.content == adapter.content
    assert again.digest == adapter.digest == hashlib.sha256(adapter.content).hexdigest()
    assert again.tensors.keys() == adapter.tensors.keys()
    assert all(np.array_equal(again.tensors[name], tensor) for name, tensor in adapter.tensors.items())


@given(adapters())
@examples(40)
def test_the_file_is_one_of_safetensors(adapter: Adapter) -> None:
    tensors = safetensors.numpy.load(adapter.content)
    assert tensors.keys() == adapter.tensors.keys()
    assert all(np.array_equal(tensors[name], tensor) for name, tensor in adapter.tensors.items())


@given(adapters(), st.data())
@examples(200)
def test_no_byte_can_be_changed_unseen(adapter: Adapter, data: st.DataObject) -> None:
    content = bytearray(adapter.content)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ValueError):
        assert Adapter.parse(bytes(content)).digest != adapter.digest


@given(adapters(), st.data())
@examples(60)
def test_a_file_that_was_cut_or_grew_is_refused(adapter: Adapter, data: st.DataObject) -> None:
    content = adapter.content
    cut = data.draw(st.integers(0, len(content) - 1))
    for damaged in (content[:cut], content + b"\0", content + content):
        with pytest.raises(ValueError, match="."):
            Adapter.parse(damaged)


def crafted(change: Callable[[dict[str, Any]], None], body: bytes | None = None) -> bytes:
    """Return a file whose header was changed."""
    content = an_adapter().content
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + (content[8 + length :] if body is None else body)


def changed_facts(**fields: Any) -> Callable[[dict[str, Any]], None]:
    def change(header: dict[str, Any]) -> None:
        facts = json.loads(header["__metadata__"]["antibody_esm"])
        header["__metadata__"]["antibody_esm"] = json.dumps(facts | fields, sort_keys=True, separators=(",", ":"))

    return change


A = f"{PREFIX}a.lora_A.weight"


def renamed(name: str) -> Callable[[dict[str, Any]], None]:
    def change(header: dict[str, Any]) -> None:
        header[name] = header.pop(A)

    return change


CRAFTED: dict[str, Callable[[dict[str, Any]], object]] = {
    "another dtype": lambda header: header[A].update(dtype="F64"),
    "half precision": lambda header: header[A].update(dtype="F16"),
    "a shape that is too large": lambda header: header[A].update(shape=[2**40, 2**40]),
    "a negative shape": lambda header: header[A].update(shape=[-2, -3]),
    "a shape of three": lambda header: header[A].update(shape=[2, 3, 1]),
    "an empty shape": lambda header: header[A].update(shape=[]),
    "a length of True": lambda header: header[A].update(shape=[True, 6]),
    "a shape of other size": lambda header: header[A].update(shape=[2, 4]),
    "another rank": lambda header: header[A].update(shape=[3, 2]),
    "overlapping tensors": lambda header: header[f"{PREFIX}a.lora_B.weight"].update(data_offsets=[0, 32]),
    "an offset beyond the end": lambda header: header[A].update(data_offsets=[10**9, 10**9 + 24]),
    "no offsets": lambda header: header[A].pop("data_offsets"),
    "no tensor": lambda header: header.pop(A),
    "no entry": lambda header: header.update({A: 3}),
    "no metadata": lambda header: header.pop("__metadata__"),
    "metadata of another program": lambda header: header.update({"__metadata__": {"format": "pt"}}),
    "more metadata": lambda header: header["__metadata__"].update(more="text"),
    "facts that are no text": lambda header: header["__metadata__"].update(antibody_esm=3),
    "facts that are not JSON": lambda header: header["__metadata__"].update(antibody_esm="{"),
    "another format": changed_facts(format=2),
    "an unknown fact": changed_facts(more=1),
    "a base that is no digest": changed_facts(base="../../base"),
    "another pooling": changed_facts(spec=json.loads(FineTuneSpec(rank=2).model_dump_json())),
    "no updates": changed_facts(spec=json.loads(FineTuneSpec(method="head", pooling="attention").model_dump_json())),
    "a path": renamed(f"{PREFIX}../../a.lora_A.weight"),
    "a name of Python": renamed(f"{PREFIX}a.__class__.lora_A.weight "),
    "a name without the prefix": renamed("a.lora_A.weight"),
    "a name of another part": renamed(f"{PREFIX}a.weight"),
    "a name with a line": renamed(f"{PREFIX}a\n.lora_A.weight"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_files_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(crafted(CRAFTED[name]))  # type: ignore[arg-type]  # their results are not used
    with pytest.raises(CheckpointError, match="is no adapter: "):
        Adapter.read(tmp_path / NAME)


def test_the_crafting_alone_is_not_refused() -> None:
    assert Adapter.parse(crafted(lambda header: None)).digest == an_adapter().digest


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        an_adapter(value)


def test_a_header_that_declares_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(struct.pack("<Q", 2**62) + b"{" * 100)
    with pytest.raises(CheckpointError, match="header is damaged or too long"):
        Adapter.read(tmp_path / NAME)
    (tmp_path / NAME).write_bytes(struct.pack("<Q", 3_000_000) + b"[" * 3_000_000)
    with pytest.raises(CheckpointError, match="is no adapter"):
        Adapter.read(tmp_path / NAME)


def test_a_file_that_runs_code_is_refused(tmp_path: Path) -> None:
    import pickle

    (tmp_path / NAME).write_bytes(pickle.dumps({"a": print}))
    with pytest.raises(CheckpointError, match="is no adapter"):
        Adapter.read(tmp_path / NAME)


def test_an_adapter_is_found_by_its_digest_alone(tmp_path: Path) -> None:
    adapter, other = an_adapter(2.0), an_adapter(3.0)
    (tmp_path / "model").mkdir()
    other.save(tmp_path / NAME)
    adapter.save(tmp_path / "model" / NAME)
    for places in ([str(tmp_path)], [str(tmp_path / "model")], [str(tmp_path / "model" / NAME)]):
        assert find_adapter(adapter.digest, places, BASE).content == adapter.content


def test_an_absent_adapter_is_an_error_that_names_its_digest(tmp_path: Path) -> None:
    an_adapter(4.0).save(tmp_path / NAME)
    absent = an_adapter(5.0).digest
    with pytest.raises(CheckpointError, match=f"no adapter with digest {absent} is here; other adapters: ") as error:
        find_adapter(absent, [str(tmp_path)], BASE)
    assert error.value.folders == (str(tmp_path / NAME),)


def test_an_adapter_of_another_model_is_refused_with_both_digests() -> None:
    adapter = an_adapter(6.0)
    offer(adapter)
    with pytest.raises(CheckpointError, match=f"trained on a model with digest {BASE}.*has digest {'1' * 64}"):
        find_adapter(adapter.digest, [], "1" * 64)


def test_a_damaged_adapter_is_not_found_again(tmp_path: Path) -> None:
    folder, adapter = AdapterFolder(tmp_path / "adapters"), an_adapter(7.0)
    assert folder.trained("key") is None
    folder.keep("key", adapter)
    kept = folder.trained("key")
    assert kept is not None
    assert kept.content == adapter.content
    file = folder.path / f"{adapter.digest}.safetensors"
    file.write_bytes(an_adapter(8.0).content)  # a sound file, of another digest
    assert folder.trained("key") is None
    file.write_bytes(adapter.content[:-1])
    assert folder.trained("key") is None
    (folder.path / "key.key").write_text("../../" * 20)
    assert folder.trained("key") is None


def test_repr_is_short() -> None:
    assert repr(an_adapter()) == "<Adapter: FineTuneSpec(rank=2, pooling='attention') on 00000000, epoch 1 of 1>"


def test_an_adapter_holds_numbers_alone() -> None:
    from antibody_esm import ExtractorSpec
    from antibody_esm.plm.finetuning import finetune
    from antibody_esm.testing import tiny_checkpoint

    texts = ["EVQLVESGGG", "QVQLQQSGAE", "DIQMTQSPSS", "EIVLTQSPAT", "QSALTQPASV", "EVKLVESGGD"]
    model = ExtractorSpec(model=str(tiny_checkpoint("bert", Path(mkdtemp()) / "secret", dim=16)))
    adapter = finetune(FineTuneSpec(epochs=1, batch=2), model, texts, np.arange(6) % 2, continuous=False)
    assert adapter.facts.model_dump().keys() == AdapterFacts.model_fields.keys()
    for secret in (*texts, "secret", model.model):
        assert secret.encode() not in adapter.content
