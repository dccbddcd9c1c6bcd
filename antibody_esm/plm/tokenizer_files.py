"""Tokenizer of a model that lies in another repository or folder than its weights."""

from dataclasses import replace
from pathlib import Path

from antibody_esm.errors import CheckpointError
from antibody_esm.licences import WEIGHTS, refusal
from antibody_esm.plm.checkpoints import PACKAGED, TOKENIZER_FILES, VOCABULARY_FILES, Checkpoint, locate
from antibody_esm.plm.hub import Form, download

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
    own = {name: path for name, path in checkpoint.files.items() if name not in TOKENIZER_FILES}
    return replace(checkpoint, files=own | _files(tokenizer, revision))


def _files(tokenizer: str, revision: str | None) -> dict[str, Path]:
    folder = Path(tokenizer).expanduser()
    if tokenizer in PACKAGED:
        files = locate(tokenizer, revision, weights=False).files
    else:
        if not folder.is_dir():
            if forbidden := refusal(tokenizer, WEIGHTS.get(tokenizer)):
                raise CheckpointError(forbidden, tokenizer, revision)
            folder = download(tokenizer, revision, TOKENIZER_FILES, (_FORM,), "tokenizer")
        elif revision is not None:
            raise CheckpointError(f"{tokenizer!r} is a local folder and has no revision", tokenizer, revision)
        files = {name: folder / name for name in TOKENIZER_FILES if (folder / name).is_file()}
    files = {name: path for name, path in files.items() if name in TOKENIZER_FILES}
    if not files.keys() & set(VOCABULARY_FILES):
        expected = ", ".join(VOCABULARY_FILES)
        raise CheckpointError(f"{tokenizer!r} has no tokenizer; expected one of {expected}", tokenizer, revision)
    return files
