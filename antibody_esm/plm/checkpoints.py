"""Files of a model name and revision, and the digest of their bytes.

Exactly the digested files are loaded: transformers reads a folder of `Checkpoint.staged`, which has these files and no
others. So no stray file beside them (an adapter, a script) can change an embedding unnoticed.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from antibody_esm.errors import CRAFTED, CheckpointError
from antibody_esm.files import digest, write
from antibody_esm.licences import PACKAGED, of_model, refusal, state
from antibody_esm.limits import parse_json, read_regular
from antibody_esm.plm.ablang2 import HPARAMS, PairedFiles
from antibody_esm.plm.ablang2 import WEIGHTS as ABLANG2
from antibody_esm.plm.conversion import Conversion
from antibody_esm.plm.hub import Form, download, downloaded
from antibody_esm.plm.packages import ELSEWHERE, PACKAGES
from antibody_esm.specs.local_models import folder_name

VOCABULARY_FILES = (
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
)
TOKENIZER_FILES = (
    *VOCABULARY_FILES,
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer_config.json",
)

# In the order in which transformers looks for them.
_FORMS = (
    Form("model*.safetensors*", ("model.safetensors", "model.safetensors.index.json")),
    Form("pytorch_model*.bin*", ("pytorch_model.bin", "pytorch_model.bin.index.json")),
)
_WEIGHTS = tuple(name for form in _FORMS for name in form.names)
_COMMON = ("config.json", *TOKENIZER_FILES)


STRUCTURES = (
    "it reads a residue together with a letter of its structure (SaProt's vocabulary of Foldseek's 3Di), and there are "
    "only sequences here"
)
"""Reason why SaProt (doi:10.1101/2023.10.01.560349) is refused."""


_JSON = 64 * 10**6
"""Largest size of a configuration or of an index of weights, in bytes."""
_LARGEST = 2**40
_MOST = 10_000
_COUNTS = frozenset(
    {
        *("num_hidden_layers", "num_layers", "n_layers", "n_layer", "encoder_layers"),
        *("num_attention_heads", "num_heads", "n_heads"),
    }
)
_SIZES = _COUNTS | {
    *("hidden_size", "d_model", "dim", "n_embd", "emb_dim", "d_ff", "d_kv", "intermediate_size", "embedding_size"),
    *("vocab_size", "max_position_embeddings", "n_positions", "relative_attention_num_buckets"),
}
"""Names of whole numbers above zero in a configuration."""


@dataclass(frozen=True)
class Checkpoint:
    """The files of one language model."""

    model: str
    revision: str | None
    files: dict[str, Path]
    """Every file that can change an embedding, by the name under which it is loaded."""
    converter: Conversion | None = None
    """Conversion of files that transformers does not read; None if it reads them."""
    folder: Path | None = None
    """The local folder, absolute; None of a model of the hub or of a package."""
    tokenizer: Path | None = None
    """The local folder of the tokenizer, absolute, if a spec names it; else None."""

    @cached_property
    def config(self) -> dict[str, Any]:
        """The model's ``config.json``."""
        if self.converter is not None:
            try:
                return self.converter.config_of(self.files)
            except (OSError, ValueError) as error:
                raise self.error(f"its configuration cannot be read: {error}") from error
        try:
            config = parse_json(read_regular(self.files["config.json"], _JSON))
        except (OSError, ValueError) as error:
            raise self.error(f"its config.json cannot be read: {error}") from error
        if not isinstance(config, dict):
            raise self.error("its config.json is not a JSON object")
        problem = _wrong_value(config)
        if problem:
            raise self.error(f"its config.json has {problem}")
        return config

    @property
    def digest(self) -> str:
        """SHA-256 over the names and bytes of all files, as they are now, and the version of their conversion."""
        whole = hashlib.sha256()
        if self.converter is not None:
            whole.update(f"{self.converter.name}\n".encode())
            if self.converter.weights not in self.files:
                whole.update(f"{json.dumps(self.config, sort_keys=True)}\n".encode())
        for name in sorted(self.files):
            try:
                whole.update(f"{name}\0{_file_digest(self.files[name])}\n".encode())
            except OSError as error:
                raise self.error(f"its file {name} cannot be read: {error}") from error
        return whole.hexdigest()

    @property
    def unread(self) -> int:
        """Bytes of the files whose digest is not cached: the cost of `digest`."""
        return sum(path.stat().st_size for path in self.files.values() if _cached(path.resolve()) is None)

    def without_weights(self) -> "Checkpoint":
        """Return the files of configuration and tokenizer."""
        kept = {"config.json", *TOKENIZER_FILES} if self.converter is None else {*self.converter.kept}
        return replace(self, files={name: path for name, path in self.files.items() if name in kept})

    @property
    def layers(self) -> int:
        """Number of layers, which is the index of the last hidden state."""
        return self._size("num_hidden_layers", "num_layers", "n_layers", "n_layer", "encoder_layers")

    @property
    def dim(self) -> int:
        """Length of a hidden state."""
        return self._size("hidden_size", "d_model", "dim", "n_embd", "emb_dim")

    def _size(self, *names: str) -> int:
        for name in names:
            if self.config.get(name) is not None:
                return int(self.config[name])
        raise self.error(f"its config.json names none of {', '.join(names)}")

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """Yield a temporary folder with links to the digested files, and no others; or with the converted files."""
        with tempfile.TemporaryDirectory(prefix="antibody_esm-") as name:
            folder = Path(name)
            if self.converter is not None:
                try:
                    self.converter.write(self.files, folder)
                except CRAFTED as error:
                    raise self.error(f"its weights cannot be loaded: {reason(error)}") from error
                yield folder
                return
            for file, path in self.files.items():
                try:
                    (folder / file).symlink_to(path.resolve())
                except OSError:  # Windows allows links to administrators only
                    shutil.copyfile(path, folder / file)
            yield folder

    def error(self, problem: str) -> CheckpointError:
        """Return an error that names this checkpoint."""
        places = [place for place in (self.folder, self.tokenizer) if place is not None]
        folders = [self.model, *(str(path) for place in places for path in (place, place.resolve()))] if places else []
        return CheckpointError(f"checkpoint {self.model!r}: {problem}", self.model, self.revision, folders)


def reason(error: BaseException) -> str:
    """Return why weights cannot be read, without torch's advice to read a file that may run code all the same."""
    text = str(error)
    if "weights_only" in text or "Weights only" in text:
        return "they hold objects other than tensors, which are not read because they can run code"
    return text[:500]


def _wrong_value(config: dict[str, Any]) -> str:
    """Return a value of a configuration that no model has; empty text if there is none."""
    for name, value in config.items():
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name} {value}"
        if isinstance(value, int) and abs(value) > _LARGEST:
            return f"{name} beyond {_LARGEST}"
        if name.endswith("_eps") and not (isinstance(value, int | float) and value > 0):
            return f"{name} {value!r}"[:100]
        if name in _SIZES and value is not None and (type(value) is not int or value < 1):
            return f"{name} {value!r}"[:100]
        if name in _COUNTS and value is not None and value > _MOST:
            return f"{name} {value}, more than {_MOST:,}"
    if not isinstance(config.get("model_type"), str | None):
        return f"model_type {config['model_type']!r}"[:100]
    dim, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if dim and heads and dim % heads:
        return f"{heads} heads, which do not divide hidden_size {dim}"
    return ""


def folder_of(name: str) -> Path | None:
    """Return the local folder that a name is; None for names of packaged models and of the hub."""
    path = os.path.expanduser(name)  # noqa: PTH111  which raises no error for an unknown user
    return Path(path) if name not in PACKAGED and os.path.isdir(path) else None  # noqa: PTH112  nor for long names


def locate(model: str, revision: str | None = None, *, weights: bool = True) -> Checkpoint:
    """Find a model's files: in an installed package, a local folder, or on the Hugging Face hub (downloading them).

    With ``weights=False``, weight files are not needed, and not among the files.

    Raises
    ------
    CheckpointError
        If the model is neither on disk nor reachable; the message gives the command that downloads it. Or if
        ``ANTIBODY_ESM_LICENCE`` forbids its licence; a local folder is taken as it is.
    """
    folder = folder_of(model)
    local = folder is not None
    licence = None if local else of_model(model)
    if not local and (forbidden := refusal(model, licence)):
        raise CheckpointError(forbidden, model, revision)
    state(folder_name(model) if local else model, licence)
    if model in PACKAGES:
        packaged = _packaged(model, revision)
        return packaged if weights else packaged.without_weights()
    if model.lower() in PACKAGES and not local:
        raise CheckpointError(f"{model!r} is written {model.lower()!r}", model, revision)
    if model.lower() in ELSEWHERE:
        raise CheckpointError(f"{model!r} cannot be loaded: {ELSEWHERE[model.lower()]}", model, revision)
    if not local and model.rpartition("/")[2].lower().startswith("saprot"):
        raise CheckpointError(f"{model!r} cannot be loaded: {STRUCTURES}", model, revision)
    if folder is not None:
        if revision is not None:
            raise CheckpointError(
                f"{model!r} is a local folder and has no revision {revision!r}", model, revision, (model,)
            )
        return in_folder(folder, model, weights=weights)
    return _of_snapshot(download(model, revision, _COMMON, _FORMS if weights else ()), model, revision, weights)


def cached(model: str, *, weights: bool = True) -> Checkpoint | None:
    """Return a model's files in the cache of the hub, which is not asked; None if they are not there."""
    snapshot = downloaded(model, None, _COMMON, _FORMS if weights else ())
    return None if snapshot is None else _of_snapshot(snapshot, model, None, weights)


def _of_snapshot(folder: Path, model: str, revision: str | None, weights: bool) -> Checkpoint:
    return replace(in_folder(folder, model, weights=weights), revision=revision, folder=None)


def _packaged(model: str, revision: str | None) -> Checkpoint:
    place = PACKAGES[model]
    how = f"run: pip install {place.install}"
    package = importlib.util.find_spec(place.package)  # imports nothing
    try:
        version = importlib.metadata.version(place.package)
    except importlib.metadata.PackageNotFoundError:  # a folder of that name may exist
        package = None
    if package is None or not package.submodule_search_locations:
        raise CheckpointError(
            f"the weights of {model!r} come with a package that is not installed; {how}", model, revision
        )
    if revision not in (None, version):
        advice = f"; {how}" if revision == place.version else ""
        raise CheckpointError(f"{model!r} is installed as {version}, not {revision}{advice}", model, revision)
    root = Path(package.submodule_search_locations[0])
    files = {name: root / path for name, path in place.files.items()}
    missing = [place.files[name] for name, path in files.items() if not path.is_file()]
    if missing:
        raise CheckpointError(
            f"the package {place.package} {version} holds no {missing[0]}, which {model!r} needs; {place.fetch or how}",
            model,
            revision,
        )
    return Checkpoint(model, revision, files, place.converter)


def in_folder(folder: Path, model: str, *, weights: bool = True) -> Checkpoint:
    """Return the files of a local folder under a model's name. Raises CheckpointError if some are missing."""
    place = folder.absolute()
    checkpoint = Checkpoint(model, None, {"config.json": folder / "config.json"}, folder=place)
    if not (folder / "config.json").exists() and (folder / HPARAMS).is_file() and (folder / ABLANG2).is_file():
        kept = {HPARAMS, ABLANG2} if weights else {HPARAMS}
        return Checkpoint(model, None, {name: folder / name for name in sorted(kept)}, PairedFiles(), folder=place)
    if not (folder / "config.json").is_file():
        raise checkpoint.error(f"there is no config.json in {folder}")
    names = {"config.json"}
    if weights:
        first = next((name for name in _WEIGHTS if (folder / name).is_file()), None)
        if first is None:
            raise checkpoint.error(f"there are no weights in {folder}; expected one of {', '.join(_WEIGHTS)}")
        names |= {first, *_shards(folder / first, checkpoint)}
    names |= {name for name in TOKENIZER_FILES if (folder / name).is_file()}
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        raise checkpoint.error(f"its weights are incomplete: {', '.join(missing)} missing from {folder}")
    return Checkpoint(model, None, {name: folder / name for name in sorted(names)}, folder=place)


def _shards(index: Path, checkpoint: Checkpoint) -> set[str]:
    if not index.name.endswith(".index.json"):
        return set()
    try:
        shards = set(parse_json(read_regular(index, _JSON))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise checkpoint.error(f"its {index.name} cannot be read: {error!r}") from error
    if not all(isinstance(shard, str) and shard and "\0" not in shard for shard in shards):
        raise checkpoint.error(f"its {index.name} has an entry that is not a file name")
    if any(Path(shard).name != shard or shard == ".." for shard in shards):
        raise checkpoint.error(f"its {index.name} points outside its folder")
    return shards


# Digests of files are cached.

_YOUNG = 2.0
"""Seconds within which a second write may leave a file's times unchanged, so that its digest is not cached."""


def _file_digest(path: Path) -> str:
    path = path.resolve()
    before = path.stat()
    note = _note(path, before)
    if (earlier := _cached(path)) is not None:
        return earlier
    sha256 = digest(path)
    after = path.stat()
    settled = abs(time.time() - max(after.st_mtime, after.st_ctime)) > _YOUNG
    if settled and _note(path, after) == note:
        _cache(note, sha256)
    return sha256


def _cached(path: Path) -> str | None:
    """Return the cached digest of a file; None if there is none."""
    try:
        content = _note(path, path.stat()).read_text()
    except (OSError, ValueError):
        return None
    return content if len(content) == 64 else None


def _note(path: Path, stat: os.stat_result) -> Path:
    import platformdirs

    key = f"{path}\0{stat.st_dev}\0{stat.st_ino}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}"
    return platformdirs.user_cache_path("antibody_esm") / "digests" / hashlib.sha256(key.encode()).hexdigest()


def _cache(note: Path, sha256: str) -> None:
    try:
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write(note, sha256.encode())
    except OSError:
        pass  # without the cache, the file is read again; the result is the same
