"""Every crafted folder of a saved model ends in a StoreError, before it takes time or memory."""

import hashlib
import io
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import pytest

from antibody_esm import Dataset, Predictor, StoreError, Trainer
from antibody_esm.boosters import check_booster
from antibody_esm.limits import LimitError, read_regular, unzip
from antibody_esm.model_files import manifest_digest

GENERATOR = np.random.default_rng(0)
SEQUENCES = ["".join(GENERATOR.choice(list("ACDEFGHIKLMNPQRSTVWY"), 12)) for _ in range(40)]
DATA = Dataset([f"s{i}" for i in range(40)], SEQUENCES, label=[int("K" in text) for text in SEQUENCES])
CLASSIFIER, TRAINING, MANIFEST = "classifier.skops", "training.npz", "manifest.json"
DIGESTS = {CLASSIFIER: "classifier_sha256", TRAINING: "training_sha256"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return (
        Trainer("descriptors", "logreg")
        .fit(DATA, check=False, scores=False)
        .save(tmp_path_factory.mktemp("whole") / "model")
    )


@pytest.fixture(scope="module")
def boosted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return (
        Trainer("descriptors", "xgboost")
        .fit(DATA, check=False, scores=False)
        .save(tmp_path_factory.mktemp("boosted") / "model")
    )


@pytest.fixture
def saved(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def edit(folder: Path, **changes: Any) -> None:
    """Change a manifest, and its digest accordingly."""
    manifest = json.loads((folder / MANIFEST).read_bytes()) | changes
    if manifest["format"] == 3:
        manifest["sha256"] = manifest_digest(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def put(folder: Path, name: str, content: bytes) -> None:
    """Replace a file of a model, with its digest in the manifest."""
    (folder / name).write_bytes(content)
    edit(folder, **{DIGESTS[name]: hashlib.sha256(content).hexdigest()})


def members(content: bytes) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: dict[str, bytes], method: int = ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(ZipInfo(name), data, method)
    return content.getvalue()


def npy(shape: str, descr: str = "<f4", data: bytes = b"") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + data


def lying(name: str, declared: int, real: int, content: bytes | None = None) -> bytes:
    """An archive of one deflated file whose header declares fewer bytes than it unpacks to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = content if content is not None else bytes(2**20)
    packed = b"".join(packer.compress(data) for _ in range(real // len(data))) + packer.flush()
    crc, short = zlib.crc32(b""), name.encode()
    sizes = struct.pack("<IIIHH", crc, len(packed), declared, len(short), 0)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 33) + sizes + short + packed
    central = (
        b"PK\x01\x02"
        + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 33)
        + sizes
        + struct.pack("<HHHII", 0, 0, 0, 0, 0)
        + short
    )
    return local + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


def schema(part: Any) -> bytes:
    return zipped({"schema.json": json.dumps(part | {"protocol": 2}).encode()})


def doubled(levels: int) -> bytes:
    """A schema in which each list holds the one before it twice, by number."""
    node: dict[str, Any] = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": '"a"'}
    node["__id__"] = 1
    for level in range(2, levels):
        list_ = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "__id__": level}
        node = list_ | {"content": [node, {"__id__": level - 1}]}
    return schema(node)


def circle() -> bytes:
    list_ = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "__id__": 7}
    return schema(list_ | {"content": [{"__id__": 7}]})


def many_readings() -> bytes:
    """A schema that reads one array of a megabyte a thousand times."""
    array = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "numpy", "file": "0"}
    content = [array | {"__id__": number} for number in range(1, 1001)]
    list_ = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": content}
    data = npy("(1048576,)", "|u1", bytes(2**20))
    return zipped({"0": data, "schema.json": json.dumps(list_ | {"protocol": 2}).encode()})


def array_of(shape: str, descr: str = "<f8") -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        files = members(content)
        name = next(name for name in files if name.endswith(".npy"))
        return zipped(files | {name: npy(shape, descr)})

    return change


def deep_json(content: bytes) -> bytes:
    files = members(content)
    return zipped(files | {"schema.json": b'{"a":' * 100_000})


def deep_node(content: bytes) -> bytes:
    node = {"__class__": "dict", "__module__": "builtins", "__loader__": "JsonNode", "content": "[" * 100_000}
    return schema(node)


CLASSIFIERS: dict[str, Callable[[bytes], bytes]] = {
    "deep schema": deep_json,
    "deep JSON in a part": deep_node,
    "parts that double": lambda _: doubled(40),
    "a part in itself": lambda _: circle(),
    "one array read a thousand times": lambda _: many_readings(),
    "an array of a terabyte": array_of("(137438953472,)"),
    "an array of nothing many times": array_of("(4611686018427387904,)", "<U0"),
    "an array of negative length": array_of("(-1, -1)"),
    "an unknown compression": lambda content: zipped(members(content), ZIP_BZIP2),
    "a bomb that declares its size": lambda _: zipped({"schema.json": bytes(201 * 10**6)}),
    "a bomb that declares less": lambda _: lying("schema.json", 100, 2**28),
    "no schema": lambda _: zipped({"a": b"b"}),
    "a schema that is a list": lambda _: zipped({"schema.json": b"[]"}),
    "a later protocol": lambda _: schema({"__loader__": "DictNode", "__class__": "dict", "__module__": "b"} | {"x": 1}),
    "empty": lambda _: b"",
    "half": lambda content: content[: len(content) // 2],
    "another zip": lambda content: zipped(dict.fromkeys(map(str, range(51_000)), b"")),
}


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_crafted_classifier_is_a_store_error(saved: Path, kind: str) -> None:
    put(saved, CLASSIFIER, CLASSIFIERS[kind]((saved / CLASSIFIER).read_bytes()))
    with pytest.raises(StoreError, match=CLASSIFIER) as caught:
        Predictor.load(saved)
    assert len(str(caught.value)) < 1000


def booster(content: bytes) -> tuple[str, bytes]:
    return next((name, data) for name, data in members(content).items() if data.startswith(b"{L"))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:40] + b"[" * 500_000,
        lambda data: b"{L\0\0\0\0\0\0\0\1a" * 200_000,
        lambda data: data.replace(b"[#L" + bytes(7) + b"\x01", b"[#L\x7f" + b"\xff" * 7, 1),
        lambda data: data[:-100],
    ],
    ids=["arrays in arrays", "objects in objects", "an array of 10^18 values", "truncated"],
)
def test_a_crafted_booster_does_not_crash_the_process(
    boosted: Path, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    folder = Path(shutil.copytree(boosted, tmp_path / "model"))
    content = (folder / CLASSIFIER).read_bytes()
    name, data = booster(content)
    check_booster(data)
    put(folder, CLASSIFIER, zipped(members(content) | {name: change(data)}))
    with pytest.raises(StoreError, match="a booster"):
        Predictor.load(folder)


def changed_array(name: str, data: bytes) -> Callable[[bytes], bytes]:
    return lambda content: zipped(members(content) | {f"{name}.npy": data})


def saved_array(values: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, np.asarray(values))
    return content.getvalue()


ARRAYS: dict[str, Callable[[bytes], bytes]] = {
    "an array of a terabyte": changed_array("features", npy("(40, 6871947673)")),
    "sequences without length": changed_array("sequences", npy("(4611686018427387904,)", "<U0")),
    "a deep header": changed_array("features", b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000),
    "a version of numpy's format to come": changed_array("features", b"\x93NUMPY\x09\x00" + bytes(100)),
    "objects": changed_array("features", npy("(1,)", "|O", b"\x80\x04N.")),
    "fewer vectors than sequences": changed_array("features", saved_array(np.zeros((1, 3), np.float32))),
    "vectors that are text": changed_array("features", saved_array(["a"] * 40)),
    "sequences that are numbers": changed_array("sequences", saved_array(np.zeros(40))),
    "text whose letters are none": changed_array("heavy", npy("(40,)", "<U1", b"\xff" * 160)),
    "other scores than labels": changed_array("score", saved_array(np.zeros(3))),
    "an unknown splitting": changed_array("by", saved_array("moon")),
    "an unknown compression": lambda content: zipped(members(content), ZIP_BZIP2),
    "a bomb that declares its size": lambda _: zipped({"score.npy": bytes(201 * 10**6)}),
    "a bomb that declares less": lambda _: lying("score.npy", 100, 2**28),
    "empty": lambda _: b"",
    "no archive": lambda _: b"\x93NUMPY",
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_crafted_training_antibodies_are_a_store_error(saved: Path, kind: str) -> None:
    put(saved, TRAINING, ARRAYS[kind]((saved / TRAINING).read_bytes()))
    with pytest.raises(StoreError, match=TRAINING):
        Predictor.load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 3.0},
        {"format": True},
        {"format": [3]},
        {"format": 10**400},
        {"format": None},
        {"data": None},
        {"data": {"chain": "heavy"}},
        {"data": {"chain": "heavy", "fragment": None, "source": 1, "digest": []}},
        {"metrics": [1]},
        {"versions": {"scikit-learn": 1}},
        {"versions": None},
        {"fingerprints": []},
        {"reading": None},
        {"reading": {"chain": [], "fragment": {}}},
        {"spec": []},
        {"classifier_sha256": None},
    ],
    ids=str,
)
def test_a_manifest_with_other_values_is_a_store_error(saved: Path, changes: dict[str, Any]) -> None:
    edit(saved, **changes)
    with pytest.raises(StoreError):
        Predictor.load(saved)


@pytest.mark.parametrize(
    "content",
    [
        b'{"format": 3, "data": ' + b"[" * 100_000,
        b'{"a":' * 101 + b"1" + b"}" * 101,
        b"[]",
        b"\xff",
        b"",
        b"," * 3_000_000,
    ],
    ids=["recursion", "101 objects", "list", "bytes", "empty", "too many values"],
)
def test_a_manifest_that_is_nested_or_no_json_is_a_store_error(saved: Path, content: bytes) -> None:
    (saved / MANIFEST).write_bytes(content)
    with pytest.raises(StoreError, match=MANIFEST):
        Predictor.load(saved)


FILES = (MANIFEST, CLASSIFIER, TRAINING, "openings.jsonl")


@pytest.mark.parametrize("name", FILES)
def test_a_fifo_in_place_of_a_file_is_refused_without_waiting(saved: Path, name: str) -> None:
    (saved / name).unlink(missing_ok=True)
    os.mkfifo(saved / name)
    with pytest.raises(StoreError, match="not a regular file"):
        Predictor.load(saved)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("target", ["/dev/zero", "outside", "circle"])
def test_a_symbolic_link_out_of_the_folder_is_refused(saved: Path, name: str, target: str) -> None:
    outside = saved.parent / "outside"
    if (saved / name).exists():
        (saved / name).rename(outside)
    else:
        outside.write_bytes(b"")
    (saved / name).symlink_to({"/dev/zero": "/dev/zero", "outside": outside, "circle": saved / name}[target])
    with pytest.raises(StoreError, match="symbolic link"):
        Predictor.load(saved)


def test_a_symbolic_link_to_the_whole_folder_is_followed(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(saved)
    assert Predictor.load(tmp_path / "link").spec == Predictor.load(saved).spec


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_terabyte_is_refused_before_it_is_read(saved: Path, name: str) -> None:
    with (saved / name).open("ab") as file:
        file.truncate(10**12)
    with pytest.raises(StoreError, match="has 1 TB, more than"):
        Predictor.load(saved)


def test_the_environment_variable_raises_the_limit_of_unpacked_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped({"a": bytes(65 * 10**6)})
    with pytest.raises(LimitError, match=r"65 MB|64 MB.*set the environment variable ANTIBODY_ESM_MAX_UNPACKED"):
        unzip(bomb, 10**9)
    monkeypatch.setenv("ANTIBODY_ESM_MAX_UNPACKED", str(66 * 10**6))
    assert len(unzip(bomb, 10**9)["a"]) == 65 * 10**6
    monkeypatch.setenv("ANTIBODY_ESM_MAX_UNPACKED", "a lot")
    with pytest.raises(LimitError, match="a number of bytes, not 'a lot'"):
        unzip(bomb, 10**9)


def test_a_model_of_format_2_has_no_array_of_a_later_one(saved: Path) -> None:
    manifest = json.loads((saved / MANIFEST).read_bytes())
    del manifest["reading"], manifest["sha256"]
    manifest["format"] = 2
    (saved / MANIFEST).write_text(json.dumps(manifest))
    with pytest.warns(UserWarning, match="saved in format 2"), pytest.raises(StoreError, match="has no 'heavy'"):
        Predictor.load(saved)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(11))
    with pytest.raises(LimitError, match="more than 10 bytes"):
        read_regular(path, 10)


def test_archives_without_compression_are_read(saved: Path) -> None:
    put(saved, TRAINING, zipped(members((saved / TRAINING).read_bytes()), ZIP_STORED))
    assert Predictor.load(saved).applicability is not None
