"""What differs between families of language models: spacing, special tokens, parts that may be missing, length.

To add a family, add a row to `_FAMILIES` and a tiny checkpoint to `antibody_esm.testing`; see the developer guide.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import CRAFTED
from antibody_esm.plm.checkpoints import VOCABULARY_FILES, Checkpoint
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS, BETWEEN
from antibody_esm.specs import Pairs


@dataclass(frozen=True)
class Family:
    """How models of one ``model_type`` read a protein."""

    separator: str | None
    """What the tokenizer wants between residues; None where that is found out by trying."""
    model_options: tuple[tuple[str, Any], ...] = ()
    """Arguments of the model class which leave out parts that no embedding passes through."""
    recomputed: tuple[str, ...] = ()
    """Weights that a checkpoint may lack, since the model computes them or an embedding does not use them."""
    position_offset: str | None = None
    """Configuration key of the position table's first row in use, less one; None where that is row 0."""
    model_class: str = "AutoModel"
    """Class of transformers that is the encoder."""
    verbatim_tokenizer: bool = False
    """Whether a ``tokenizer.json`` is read as it is, since the class its configuration names would rebuild a part."""
    layers: str | None = None
    """Where the layers are in the model, so that those above the last that is asked for can go; None runs all."""
    final_norm: str | None = None
    """Where that is which runs once, behind the last layer, and so not where that has gone."""
    between: str | None = None
    """Token between the chains of a pair, in models of this family that were trained on pairs; None where there is no
    such model, or where it is not known."""


_BERT = Family(
    separator=" ",
    model_options=(("add_pooling_layer", False),),
    layers="encoder.layer",
    between="[SEP]",  # IgBert, doi:10.1371/journal.pcbi.1012646; all tokens are of one type
)

_FAMILIES = {
    "esm": Family(
        separator="",
        model_options=(("add_pooling_layer", False),),
        recomputed=("rotary_embeddings.inv_freq", "contact_head.", "embeddings.position_ids"),
        position_offset="pad_token_id",
        layers="encoder.layer",
        final_norm="encoder.emb_layer_norm_after",
    ),
    "esmc": Family(separator="", layers="layers", final_norm="norm", between="|"),
    "bert": _BERT,
    "roformer": Family(separator=" ", recomputed=("encoder.embed_positions.weight",), layers="encoder.layer"),
    "t5": Family(
        separator=None,  # ProtT5 wants spaces, Ankh none
        model_class="T5EncoderModel",
        verbatim_tokenizer=True,
        layers="encoder.block",
        final_norm="encoder.final_layer_norm",
        between="</s>",  # IgT5, doi:10.1371/journal.pcbi.1012646
    ),
}
_OTHER = Family(separator=None)


def family_of(checkpoint: Checkpoint) -> Family:
    """Return how this checkpoint's family reads a protein."""
    return _FAMILIES.get(str(checkpoint.config.get("model_type")), _OTHER)


def shorten(model: Any, family: Family, layers: int) -> None:
    """Leave out what runs after a number of layers; the states up to there stay what they are, bit for bit.

    The configuration stays whole too: some models scale their states by its number of layers.
    """
    if family.layers is None or layers >= len(model.get_submodule(family.layers)):
        return
    from torch import nn

    kept = model.get_submodule(family.layers)[: max(1, layers)]  # layer 0 is what enters the first
    model.set_submodule(family.layers, kept)
    if family.final_norm is not None:
        model.set_submodule(family.final_norm, nn.Identity())


def max_length(checkpoint: Checkpoint) -> int:
    """Return the longest sequence in residues, leaving room for a start and an end token."""
    positions = checkpoint.config.get("max_position_embeddings")
    if not isinstance(positions, int):
        return 2**31 - 1  # relative positions: any length
    offset = family_of(checkpoint).position_offset
    used = 0 if offset is None else int(checkpoint.config.get(offset) or 0) + 1
    return positions - used - 2


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer, proved to be a plain table: ``prefix + ids of the residues + suffix``."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    ids: NDArray[np.int64]
    """``(128,)``, token by ASCII code of the residue, and of what stands between two chains."""
    mask: int | None = None
    """The token that a model was trained to look behind; None where there is none."""

    @property
    def added(self) -> int:
        """Number of tokens that the tokenizer adds to any sequence."""
        return len(self.prefix) + len(self.suffix)

    def encode(self, sequences: list[str]) -> NDArray[np.int64]:
        """Return the tokens ``(n, length + added)`` of sequences of one length."""
        letters = np.frombuffer("".join(sequences).encode("ascii"), np.uint8).reshape(len(sequences), -1)
        tokens = np.empty((len(sequences), letters.shape[1] + self.added), np.int64)
        start, stop = len(self.prefix), tokens.shape[1] - len(self.suffix)
        tokens[:, :start] = self.prefix
        tokens[:, start:stop] = self.ids[letters]
        tokens[:, stop:] = self.suffix
        return tokens


def vocabulary_of(checkpoint: Checkpoint, pairs: Pairs = "apart") -> Vocabulary:
    """Load a checkpoint's tokenizer and prove that it reads proteins.

    The proof: the twenty amino acids map to twenty distinct tokens, none of them the unknown one; X maps to one token;
    and for every ordered pair of residues the tokenizer gives the same tokens as the table that stands for it. For
    joined chains, the table's tokens of two probes are the tokenizer's too, with the family's separator between them.

    Raises
    ------
    CheckpointError
        If any of this fails, as it does with a vocabulary that was not read (every residue unknown) or lower-cased.
    """
    _refuse_unknown(checkpoint)
    tokenizer = _tokenizer(checkpoint)
    family = family_of(checkpoint)
    separator = family.separator
    problems = []
    if pairs == "joined" and family.between is None:
        kind = checkpoint.config.get("model_type")
        raise checkpoint.error(f"models of its family, {kind}, read one chain; embed both by themselves: pairs='apart'")
    for candidate in ("", " ") if separator is None else (separator,):
        try:
            vocabulary = _prove(tokenizer, candidate)
            if pairs == "joined":
                vocabulary = _prove_pairs(tokenizer, candidate, vocabulary, family)
            return _within(checkpoint.config.get("vocab_size"), vocabulary)
        except ValueError as error:
            problems.append(str(error))
    raise checkpoint.error(f"its tokenizer does not read proteins: {'; '.join(problems)}")


def _refuse_unknown(checkpoint: Checkpoint) -> None:
    import transformers

    kind = checkpoint.config.get("model_type")
    if kind in transformers.CONFIG_MAPPING:
        return
    own = "; it comes with code of its own, which is never run" if "auto_map" in checkpoint.config else ""
    raise checkpoint.error(f"transformers {transformers.__version__} has no model of type {kind!r}{own}")


def _tokenizer(checkpoint: Checkpoint) -> Any:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if not checkpoint.files.keys() & set(VOCABULARY_FILES):
        raise checkpoint.error(f"it has no tokenizer; expected one of {', '.join(VOCABULARY_FILES)}")
    # A vocabulary without a configuration says nothing of case, and transformers then lower-cases every residue away.
    options = {} if "tokenizer_config.json" in checkpoint.files else {"do_lower_case": False}
    with checkpoint.staged() as folder:
        try:
            if family_of(checkpoint).verbatim_tokenizer and "tokenizer.json" in checkpoint.files:
                return PreTrainedTokenizerFast.from_pretrained(folder)
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **options)
        except (*CRAFTED, StrictDataclassError) as error:
            raise checkpoint.error(f"its tokenizer cannot be loaded: {str(error)[:500]}") from error


def _prove(tokenizer: Any, separator: str) -> Vocabulary:
    def tokens(residues: str) -> list[int]:
        return list(tokenizer(separator.join(residues))["input_ids"])

    # Where three tokens differ between two three-residue probes, the residues stand.
    one, two = tokens("ACD"), tokens("EFG")
    if len(one) != len(two):
        raise ValueError("'ACD' and 'EFG' give different numbers of tokens")
    differ = [i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    if len(differ) != 3 or differ[2] - differ[0] != 2:
        raise ValueError(f"'ACD' and 'EFG' differ in {len(differ)} tokens, not in three neighbouring ones")
    prefix, suffix = tuple(one[: differ[0]]), tuple(one[differ[2] + 1 :])
    if not {*prefix, *suffix} <= set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}:
        raise ValueError("what it adds at the ends is not made of special tokens")

    ids = np.full(128, -1, np.int64)
    for residue in ALPHABET:
        found = tokens(residue)
        if len(found) != len(prefix) + 1 + len(suffix):
            raise ValueError(f"{residue!r} alone gives {len(found)} tokens")
        ids[ord(residue)] = found[len(prefix)]
    twenty = ids[[ord(residue) for residue in AMINO_ACIDS]]
    if len(set(twenty.tolist())) != len(AMINO_ACIDS):
        raise ValueError("the twenty amino acids do not have twenty distinct tokens")
    if tokenizer.unk_token_id in twenty:
        raise ValueError("an amino acid is the unknown token")
    taken = {*twenty.tolist(), *tokenizer.all_special_ids} - {tokenizer.unk_token_id}
    if ids[ord("X")] in taken:
        raise ValueError("X has the token of an amino acid, or one that means something else")

    vocabulary = Vocabulary(prefix, suffix, ids, tokenizer.mask_token_id)
    for probe in _pairs():
        if tokens(probe) != vocabulary.encode([probe])[0].tolist():
            raise ValueError(f"tokens depend on their neighbours, for example in {probe!r}")
    return vocabulary


def _prove_pairs(tokenizer: Any, separator: str, vocabulary: Vocabulary, family: Family) -> Vocabulary:
    token = tokenizer.convert_tokens_to_ids(family.between)
    if token is None or token == tokenizer.unk_token_id:
        raise ValueError(f"it has no token {family.between!r} to stand between two chains")
    ids = vocabulary.ids.copy()
    ids[ord(BETWEEN)] = token
    joined = replace(vocabulary, ids=ids)
    for heavy, light in (("ACD", "EFG"), (ALPHABET, ALPHABET[::-1])):
        found = list(tokenizer(separator.join([*heavy, str(family.between), *light]))["input_ids"])
        if found != joined.encode([f"{heavy}{BETWEEN}{light}"])[0].tolist():
            raise ValueError(f"with {family.between!r} between them, two chains are not their tokens one by one")
    return joined


def _within(size: Any, vocabulary: Vocabulary) -> Vocabulary:
    highest = max(*vocabulary.prefix, *vocabulary.suffix, int(vocabulary.ids.max()))
    if isinstance(size, int) and highest >= size:
        raise ValueError(f"it gives token {highest}, and the model has {size}")
    return vocabulary


def _pairs() -> Iterator[str]:
    """Give short sequences in which every ordered pair of residues occurs."""
    for first in ALPHABET:
        yield "".join(chain.from_iterable((first, second) for second in ALPHABET))
