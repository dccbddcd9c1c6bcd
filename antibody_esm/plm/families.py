"""Differences between families of language models: spacing, special tokens, parts that may be missing, length.

To add a family, add a row to `_FAMILIES` and a tiny checkpoint to `antibody_esm.testing`; see the developer guide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import CRAFTED
from antibody_esm.plm.checkpoints import VOCABULARY_FILES, Checkpoint
from antibody_esm.plm.sapiens import END, START, Converter
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS, BETWEEN, UNKNOWN, refuse_unknown
from antibody_esm.specs.address import Pairs


@dataclass(frozen=True)
class Family:
    """Facts about models of one ``model_type`` that read proteins."""

    separator: str | None
    """Text between residues for the tokenizer; None tries no text and then a space."""
    model_options: tuple[tuple[str, Any], ...] = ()
    """Arguments of the model class that leave out parts without effect on an embedding."""
    recomputed: tuple[str, ...] = ()
    """Weights that a checkpoint may lack, since the model computes them or an embedding does not use them."""
    padding: int | None = None
    """Padding token if a configuration has no ``pad_token_id``, for families whose positions start in the row behind
    that token's number; None if positions start in row 0."""
    positions: str = "max_position_embeddings"
    """Configuration key of the number of positions."""
    relative: bool = False
    """True if positions are relative, so that a configuration without their number has no limit."""
    model_class: str = "AutoModel"
    """Class of transformers that is the encoder."""
    verbatim_tokenizer: bool = False
    """True if a ``tokenizer.json`` is read unchanged, since the class in its configuration would rebuild a part."""
    layers: str | None = None
    """Path of the layers in the model, so that layers above the last required one are removed; None keeps all."""
    final_norm: str | None = None
    """Path of the final norm; removed together with the last layer."""
    between: str | None = None
    """Token between the chains of a pair, in models of this family that were trained on pairs; None if there is no
    such model, or if the token is unknown."""


_BERT = Family(
    separator=" ",
    model_options=(("add_pooling_layer", False),),
    layers="encoder.layer",
    between="[SEP]",  # IgBert, doi:10.1371/journal.pcbi.1012646; all tokens are of one type
)

_ROBERTA = Family(
    separator=None,  # vocabularies of bytes have no space, those of sentence pieces need one
    model_options=(("add_pooling_layer", False),),
    padding=1,
    layers="encoder.layer",
)

_T5 = Family(
    separator=None,  # ProtT5 needs spaces, Ankh none
    relative=True,
    model_class="T5EncoderModel",
    verbatim_tokenizer=True,
    layers="encoder.block",
    final_norm="encoder.final_layer_norm",
    between="</s>",  # IgT5, doi:10.1371/journal.pcbi.1012646
)

_FAMILIES = {
    "esm": Family(
        separator="",
        model_options=(("add_pooling_layer", False),),
        recomputed=("rotary_embeddings.inv_freq", "contact_head.", "embeddings.position_ids"),
        padding=1,
        layers="encoder.layer",
        final_norm="encoder.emb_layer_norm_after",
    ),
    "esmc": Family(separator="", relative=True, layers="layers", final_norm="norm", between="|"),
    "bert": _BERT,
    "roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "data2vec-text": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "roberta-prelayernorm": replace(_ROBERTA, final_norm="LayerNorm"),
    "xlm-roberta-xl": replace(_ROBERTA, final_norm="encoder.LayerNorm"),
    # Their positions are RoBERTa's; their layers take or return more than states.
    **{kind: replace(_ROBERTA, layers=None) for kind in ("ibert", "longformer", "mpnet", "xmod")},
    "luke": replace(_ROBERTA, layers=None, model_options=()),
    "roformer": Family(separator=" ", recomputed=("encoder.embed_positions.weight",), layers="encoder.layer"),
    "t5": _T5,
    "mt5": replace(_T5, model_class="MT5EncoderModel", between=None),
    "umt5": replace(_T5, model_class="UMT5EncoderModel", between=None),
    **{
        kind: Family(separator=None, positions="n_positions")
        for kind in ("codegen", "ctrl", "gpt2", "gpt_bigcode", "gptj", "openai-gpt")
    },
}
_OTHER = Family(separator=None, recomputed=("pooler.",))


def family_of(checkpoint: Checkpoint) -> Family:
    """Return the family of a checkpoint."""
    return _FAMILIES.get(str(checkpoint.config.get("model_type")), _OTHER)


def shorten(model: Any, family: Family, layers: int) -> None:
    """Remove the parts that run after a number of layers; the states up to there keep their bits.

    The configuration is unchanged too: some models scale their states by its number of layers.
    """
    if family.layers is None or layers >= len(model.get_submodule(family.layers)):
        return
    from torch import nn

    kept = model.get_submodule(family.layers)[: max(1, layers)]  # layer 0 is the input of the first layer
    model.set_submodule(family.layers, kept)
    if family.final_norm is not None:
        model.set_submodule(family.final_norm, nn.Identity())


def max_length(checkpoint: Checkpoint) -> int:
    """Return the longest sequence in residues, leaving room for a start and an end token.

    Raises
    ------
    CheckpointError
        If positions are counted from a padding token that the configuration does not have.
    """
    family = family_of(checkpoint)
    positions = checkpoint.config.get(family.positions)
    if positions is None and not family.relative:
        positions = _positions_of(str(checkpoint.config.get("model_type")))
    if positions is None:
        return 2**31 - 1
    padding = family.padding
    if padding is None:
        return int(positions) - 2
    padding = checkpoint.config.get("pad_token_id", padding)
    if type(padding) is not int or padding < 0:
        raise checkpoint.error(f"its config.json has pad_token_id {padding!r}, behind which its positions start"[:200])
    return int(positions) - (padding + 1) - 2


def _positions_of(kind: str) -> int | None:
    """Return the number of positions that transformers fills in if a configuration has none."""
    from transformers import CONFIG_MAPPING

    if kind not in CONFIG_MAPPING:
        return None  # refused when the model is read
    return getattr(CONFIG_MAPPING[kind](), "max_position_embeddings", None)


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer that was proved to be a plain table: ``prefix + ids of the residues + suffix``."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    ids: NDArray[np.int64]
    """``(128,)``, token by ASCII code of the residue, and of the separator of two chains; -1 if there is none."""
    mask: int | None = None
    """Mask token; None if there is none."""

    @property
    def added(self) -> int:
        """Number of tokens that the tokenizer adds to any sequence."""
        return len(self.prefix) + len(self.suffix)

    def refuse_unread(self, sequences: Sequence[str]) -> None:
        """Raise a SequenceError that lists every X, if the vocabulary has no token for it."""
        if self.ids[ord(UNKNOWN)] < 0:
            refuse_unknown(sequences)

    def encode(self, sequences: list[str]) -> NDArray[np.int64]:
        """Return the tokens ``(n, length + added)`` of sequences of one length.

        Raises
        ------
        SequenceError
            If a residue has no token.
        """
        self.refuse_unread(sequences)
        letters = np.frombuffer("".join(sequences).encode("ascii"), np.uint8).reshape(len(sequences), -1)
        tokens = np.empty((len(sequences), letters.shape[1] + self.added), np.int64)
        start, stop = len(self.prefix), tokens.shape[1] - len(self.suffix)
        tokens[:, :start] = self.prefix
        tokens[:, start:stop] = self.ids[letters]
        tokens[:, stop:] = self.suffix
        return tokens


def vocabulary_of(checkpoint: Checkpoint, pairs: Pairs = "apart") -> Vocabulary:
    """Load a checkpoint's tokenizer and prove that it reads proteins.

    The proof: the twenty amino acids map to twenty distinct tokens, none of them the unknown token. X maps to one token
    or to none. For every ordered pair of residues, tokenizer and table give the same tokens. For joined chains, they
    also give the same tokens for two probes with the family's separator between the chains.

    Raises
    ------
    CheckpointError
        If any of this fails, for example with a vocabulary that was not read (every residue unknown) or lower-cased.
    """
    family = family_of(checkpoint)
    if checkpoint.converter is None:
        _refuse_unknown(checkpoint)
    if pairs == "joined" and family.between is None:
        kind = checkpoint.config.get("model_type")
        raise checkpoint.error(
            f"models of its family, {kind}, read one chain; embed each chain separately: pairs='apart'"
        )
    if checkpoint.converter is not None:
        return _converted(checkpoint, checkpoint.converter)
    tokenizer = _tokenizer(checkpoint)
    separator = family.separator
    problems = []
    for candidate in ("", " ") if separator is None else (separator,):
        try:
            vocabulary = _prove(tokenizer, candidate)
            if pairs == "joined":
                vocabulary = _prove_pairs(tokenizer, candidate, vocabulary, family)
            return _within(checkpoint.config.get("vocab_size"), vocabulary)
        except ValueError as error:
            problems.append(str(error))
    raise checkpoint.error(f"its tokenizer does not read proteins: {'; '.join(problems)}")


def _converted(checkpoint: Checkpoint, converter: Converter) -> Vocabulary:
    """Return the table of a model without a tokenizer of transformers; there is none to compare it with."""
    try:
        numbers = converter.numbers(checkpoint.files)
    except (OSError, ValueError) as error:
        raise checkpoint.error(f"its vocabulary cannot be read: {error}") from error
    ids = np.full(128, -1, np.int64)
    for residue in ALPHABET:
        ids[ord(residue)] = numbers[residue]
    return Vocabulary((START,), (END,), ids, numbers["<mask>"])


def _refuse_unknown(checkpoint: Checkpoint) -> None:
    import transformers

    kind = checkpoint.config.get("model_type")
    if kind is None:
        raise checkpoint.error("its config.json names no model_type")
    if kind in transformers.CONFIG_MAPPING:
        _refuse_unsuited(checkpoint, transformers.CONFIG_MAPPING[kind]())
        return
    own = "; it comes with code of its own, which is never run" if "auto_map" in checkpoint.config else ""
    raise checkpoint.error(f"transformers {transformers.__version__} has no model of type {kind!r}{own}")


def _refuse_unsuited(checkpoint: Checkpoint, defaults: Any) -> None:
    """Raise an error for models whose last states are not those of an encoder, or depend on more than the sequence."""
    kind = checkpoint.config["model_type"]
    has_decoder = checkpoint.config.get("is_encoder_decoder", defaults.is_encoder_decoder)
    if has_decoder and family_of(checkpoint).model_class == "AutoModel":
        raise checkpoint.error(f"models of type {kind} end in a decoder; of such models only T5's encoder is read")
    # transformers changes the attention of the whole model at its first short sequence.
    if kind == "big_bird" and checkpoint.config.get("attention_type", defaults.attention_type) != "original_full":
        raise checkpoint.error(
            "its attention reads random parts of long sequences; for full attention at every length, write "
            '"attention_type": "original_full" into its config.json'
        )


def _tokenizer(checkpoint: Checkpoint) -> Any:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if not checkpoint.files.keys() & set(VOCABULARY_FILES):
        raise checkpoint.error(f"it has no tokenizer; expected one of {', '.join(VOCABULARY_FILES)}")
    # Without a configuration of the vocabulary, transformers lower-cases the residues, which makes them all unknown.
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

    letters = {token.strip(_BLANKS) for token in tokenizer.get_vocab()}
    alphabet = ALPHABET
    if not _replaces(tokenizer):
        if absent := [residue for residue in AMINO_ACIDS if residue not in letters]:
            raise ValueError(f"it has no token for {absent[0]}")
        alphabet = ALPHABET if UNKNOWN in letters else AMINO_ACIDS

    # The residues are where three tokens differ between two probes of three residues.
    first, second = tokens("ACD"), tokens("EFG")
    if len(first) != len(second):
        raise ValueError("'ACD' and 'EFG' give different numbers of tokens")
    differ = [i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
    if len(differ) != 3 or differ[2] - differ[0] != 2:
        raise ValueError(f"'ACD' and 'EFG' differ in {len(differ)} tokens, not in three neighbouring ones")
    prefix, suffix = tuple(first[: differ[0]]), tuple(first[differ[2] + 1 :])
    if not {*prefix, *suffix} <= set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}:
        raise ValueError("the tokens that it adds at the ends are not special tokens")

    ids = np.full(128, -1, np.int64)
    for residue in alphabet:
        alone = tokens(residue)
        if len(alone) != len(prefix) + 1 + len(suffix):
            raise ValueError(f"{residue!r} alone gives {len(alone)} tokens")
        ids[ord(residue)] = alone[len(prefix)]
    twenty = ids[[ord(residue) for residue in AMINO_ACIDS]]
    if len(set(twenty.tolist())) != len(AMINO_ACIDS):
        raise ValueError("the twenty amino acids do not have twenty distinct tokens")
    if tokenizer.unk_token_id in twenty:
        raise ValueError("an amino acid is the unknown token")
    taken = {*twenty.tolist(), *tokenizer.all_special_ids} - {tokenizer.unk_token_id}
    if ids[ord(UNKNOWN)] in taken:
        raise ValueError("X has the token of an amino acid, or a special token")

    vocabulary = Vocabulary(prefix, suffix, ids, tokenizer.mask_token_id)
    for probe in _pairs(alphabet):
        if tokens(probe) != vocabulary.encode([probe])[0].tolist():
            raise ValueError(f"tokens depend on their neighbours, for example in {probe!r}")
    return vocabulary


_BLANKS = " ▁Ġ"
"""Characters for a space at the beginning of a token in vocabularies."""


def _replaces(tokenizer: Any) -> bool:
    """Return whether letters without a token become the unknown one; otherwise they are left out, or an error."""
    if not tokenizer.is_fast:
        return tokenizer.unk_token_id is not None
    from tokenizers.models import Unigram

    model = tokenizer.backend_tokenizer.model
    if isinstance(model, Unigram):
        return tokenizer.unk_token_id is not None
    return model.unk_token is not None and model.token_to_id(model.unk_token) is not None


def _prove_pairs(tokenizer: Any, separator: str, vocabulary: Vocabulary, family: Family) -> Vocabulary:
    token = tokenizer.convert_tokens_to_ids(family.between)
    if token is None or token == tokenizer.unk_token_id:
        raise ValueError(f"it has no token {family.between!r} to stand between two chains")
    ids = vocabulary.ids.copy()
    ids[ord(BETWEEN)] = token
    joined = replace(vocabulary, ids=ids)
    alphabet = ALPHABET if vocabulary.ids[ord(UNKNOWN)] >= 0 else AMINO_ACIDS
    for heavy, light in (("ACD", "EFG"), (alphabet, alphabet[::-1])):
        pair = list(tokenizer(separator.join([*heavy, str(family.between), *light]))["input_ids"])
        if pair != joined.encode([f"{heavy}{BETWEEN}{light}"])[0].tolist():
            raise ValueError(
                f"with {family.between!r} between two chains, the tokens are not those of the single residues"
            )
    return joined


def _within(size: Any, vocabulary: Vocabulary) -> Vocabulary:
    highest = max((*vocabulary.prefix, *vocabulary.suffix, int(vocabulary.ids.max())))
    if isinstance(size, int) and highest >= size:
        raise ValueError(f"it gives token {highest}, and the model has {size}")
    return vocabulary


def _pairs(alphabet: str) -> Iterator[str]:
    """Yield short sequences in which every ordered pair of residues occurs."""
    for first in alphabet:
        yield "".join(chain.from_iterable((first, second) for second in alphabet))
