"""A checkpoint whose tokenizer lies in a folder of its own."""

import shutil
from pathlib import Path

from antibody_esm.plm.checkpoints import TOKENIZER_FILES


def parted(whole: Path, folder: Path, name: str = "weights") -> tuple[Path, Path]:
    """Copy a checkpoint into a folder of weights, of a name, and a folder of its tokenizer."""
    weights, tokenizer = folder / name, folder / "tokenizer"
    for each in (weights, tokenizer):
        each.mkdir(parents=True)
    for file in whole.iterdir():
        shutil.copyfile(file, (tokenizer if file.name in TOKENIZER_FILES else weights) / file.name)
    return weights, tokenizer
