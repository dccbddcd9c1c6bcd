"""Tokenizer of a model that lies in another repository or folder than its weights."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from antibody_esm.errors import CheckpointError
from antibody_esm.licences import PACKAGED, of_model, refusal, state
from antibody_esm.limits import LimitError, check_inside
from antibody_esm.plm.checkpoints import TOKENIZER_FILES, VOCABULARY_FILES, Checkpoint, folder_of, locate
from antibody_esm.plm.hub import Form, download, downloaded
from antibody_esm.plm.search import earlier, folders_with, named_places
from antibody_esm.specs.local_models import folder_name, is_folder, is_published

LARGEST = 10**8
"""Most bytes of a tokenizer's files that are read from a folder that is not named."""
_FORM = Form("tokenizer.json", VOCABULARY_FILES)
"""Any vocabulary; ``tokenizer.json`` is among the common files too."""


def with_tokenizer(checkpoint: Checkpoint, tokenizer: str, revision: str | None = None) -> Checkpoint:
    """Return a checkpoint with the tokenizer's files of another repository or folder, in place of its own.

    The digest is then over configuration and weights of the one and the tokenizer of the other: that of a folder in
    which they lie together.

    Raises
    ------
    CheckpointError
        If the files cannot be found, or the model's vocabulary is part of its weights' package.
    """
    if checkpoint.converter is not None:
        raise checkpoint.error(f"its vocabulary is part of its package and cannot be that of {tokenizer!r}")
    folder = folder_of(tokenizer)
    files = _files(tokenizer, revision, folder)
    state(folder_name(tokenizer), of_model(tokenizer) if folder is None else None)
    return _joined(checkpoint, files, folder and folder.absolute())


def _joined(checkpoint: Checkpoint, files: dict[str, Path], folder: Path | None) -> Checkpoint:
    own = {name: path for name, path in checkpoint.files.items() if name not in TOKENIZER_FILES}
    return replace(checkpoint, files=own | files, tokenizer=folder)


def _files(tokenizer: str, revision: str | None, folder: Path | None) -> dict[str, Path]:
    if tokenizer in PACKAGED:
        files = locate(tokenizer, revision, weights=False).files
    else:
        if folder is None:
            if forbidden := refusal(tokenizer, of_model(tokenizer)):
                raise CheckpointError(forbidden, tokenizer, revision)
            folder = download(tokenizer, revision, TOKENIZER_FILES, (_FORM,), "tokenizer")
        elif revision is not None:
            raise CheckpointError(
                f"{tokenizer!r} is a local folder and has no revision", tokenizer, revision, (tokenizer,)
            )
        files = _in(folder)
    files = {name: path for name, path in files.items() if name in TOKENIZER_FILES}
    if not files.keys() & set(VOCABULARY_FILES):
        expected = ", ".join(VOCABULARY_FILES)
        raise CheckpointError(
            f"{tokenizer!r} has no tokenizer; expected one of {expected}", tokenizer, revision, (tokenizer,)
        )
    return files


def _in(folder: Path) -> dict[str, Path]:
    return {name: folder / name for name in TOKENIZER_FILES if (folder / name).is_file()}


def key(digest: str) -> str:
    """Return the key under which the folder of a tokenizer is remembered, see `antibody_esm.plm.search.remember`."""
    return f"{digest}-tokenizer"


class Tokenizers:
    """Tokenizers that a pinned spec may mean: those of folders, and those of the hub or of a package by name.

    Parameters
    ----------
    name, revision
        Fields of the spec. The hub is never asked for the name of a folder.
    digest
        Digest of the spec.
    places
        Folders to look in, as for `antibody_esm.plm.search.search`.
    """

    def __init__(self, name: str, revision: str | None, digest: str, places: Sequence[str]) -> None:
        self.name, self._revision, self._digest, self._places = name, revision, digest, places

    def variants(self, checkpoint: Checkpoint) -> Iterator[Checkpoint]:
        """Yield a model with its own tokenizer, as in a folder that holds both, and with each of the others.

        Raises
        ------
        CheckpointError
            At last, if the hub or a package has the tokenizer and it cannot be read.
        """
        yield replace(checkpoint, tokenizer=checkpoint.folder)
        for folder, files in self._here:
            yield _joined(checkpoint, files, folder)
        if is_published(self.name, self._revision):
            yield with_tokenizer(checkpoint, self.name, self._revision)
        elif not is_folder(self.name):  # perhaps an old name of the hub
            snapshot = downloaded(self.name, None, TOKENIZER_FILES, (_FORM,))
            if snapshot is not None:
                yield _joined(checkpoint, _in(snapshot), None)

    @cached_property
    def _here(self) -> list[tuple[Path, dict[str, Path]]]:
        """Folders with a tokenizer, and its files: those that were used or named first."""
        hint = Path(folder_name(self.name)).name
        first: list[tuple[Path, Path | None]] = [(folder, None) for folder in earlier(key(self._digest))]
        others: list[tuple[Path, Path | None]] = []
        for place in named_places(self._places):
            with suppress(OSError):
                for folder, inside in folders_with(place, VOCABULARY_FILES):
                    (first if folder == place or folder.name == hint else others).append((folder, inside))
        tokenizers: dict[Path, dict[str, Path]] = {}
        for number, (folder, within) in enumerate([*first, *others]):
            with suppress(OSError, LimitError, ValueError):
                files = _in(folder)
                for path in files.values():
                    check_inside(path, within)
                small = sum(path.stat().st_size for path in files.values()) <= LARGEST
                if files.keys() & set(VOCABULARY_FILES) and (small or number < len(first)):
                    tokenizers.setdefault(folder.absolute(), files)
        return list(tokenizers.items())
