"""Every kind of tokenizer is a table of residues or refused: none ends in a raw error or in other tokens."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from antibody_esm import CheckpointError, SequenceError
from antibody_esm.plm.checkpoints import Checkpoint
from antibody_esm.plm.vocabulary import vocabulary_of
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS

SPECIAL = ["<pad>", "</s>", "<unk>", "<mask>"]
KINDS = ("bpe", "unigram", "wordlevel", "wordpiece")
UNKNOWN = ("named", "absent", "none")
"""Whether the model of the tokenizer has an unknown token: one of its vocabulary, another, or none."""


def model_of(kind: str, tokens: list[str], unknown: str) -> Any:
    """A model of the library with these tokens."""
    numbers = {token: number for number, token in enumerate(tokens)}
    name = {"named": "<unk>", "absent": "<none>", "none": None}[unknown]
    if kind == "unigram":
        pieces = [(token, -1.0 - number / 10) for token, number in numbers.items()]
        return models.Unigram(pieces, unk_id=numbers["<unk>"] if unknown == "named" else None)
    if kind == "bpe":
        return models.BPE(numbers, [], unk_token=name)
    if kind == "wordlevel":
        return models.WordLevel(numbers, unk_token=name or "<none>")
    return models.WordPiece(numbers, unk_token=name or "<none>")


def written(
    folder: Path, kind: str, unknown: str, letters: str, ends: bool, spaces: bool, configured: bool
) -> tuple[Tokenizer, Checkpoint]:
    """Write a tokenizer beside a configuration, and return it with the checkpoint that names its files."""
    tokenizer = Tokenizer(model_of(kind, [*SPECIAL, *letters], unknown))
    split = pre_tokenizers.Split("", "isolated")
    if spaces:
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    elif kind != "bpe":
        tokenizer.pre_tokenizer = split
    tokenizer.add_special_tokens(SPECIAL)
    if ends:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "<pad>", "eos_token": "</s>", "mask_token": "<mask>"}
    names |= {"unk_token": "<unk>"} if configured else {}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names}))
    sizes = {"vocab_size": len(SPECIAL) + 22, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt_neox", **sizes}))
    files = ("config.json", "tokenizer.json", "tokenizer_config.json")
    return tokenizer, Checkpoint(str(folder), None, {name: folder / name for name in files})


@pytest.mark.parametrize("configured", [False, True], ids=["unnamed", "configured"])
@pytest.mark.parametrize("spaces", [False, True], ids=["bare", "spaces"])
@pytest.mark.parametrize("letters", [ALPHABET, AMINO_ACIDS, ALPHABET.replace("W", "")], ids=["x", "no x", "no w"])
@pytest.mark.parametrize("unknown", UNKNOWN)
@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_is_the_table_or_refused(
    tmp_path: Path, kind: str, unknown: str, letters: str, spaces: bool, configured: bool
) -> None:
    for ends in (False, True):
        tokenizer, checkpoint = written(tmp_path, kind, unknown, letters, ends, spaces, configured)
        if "W" not in letters:
            with pytest.raises(CheckpointError, match="its tokenizer does not read proteins"):
                vocabulary_of(checkpoint)
            continue
        vocabulary = vocabulary_of(checkpoint)
        for sequence in ("EVQLV", AMINO_ACIDS, "W"):
            text = (" " if spaces else "").join(sequence)
            assert vocabulary.encode([sequence])[0].tolist() == tokenizer.encode(text).ids
        if "X" not in letters and unknown != "named":
            with pytest.raises(SequenceError, match="'X', for which the model has no token"):
                vocabulary.encode(["AXC"])
        else:
            text = (" " if spaces else "").join("AXC")
            assert vocabulary.encode(["AXC"])[0].tolist() == tokenizer.encode(text).ids
