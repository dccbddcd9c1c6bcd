"""Tokenizer of a model, proved to be a plain table of residues."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import CRAFTED
from antibody_esm.limits import parse_json, read_regular
from antibody_esm.plm.checkpoints import STRUCTURES, VOCABULARY_FILES, Checkpoint
from antibody_esm.plm.controls import Controls, control_tokens, takes_room
from antibody_esm.plm.conversion import Conversion, Surroundings, TokenTable
from antibody_esm.plm.families import Family, family_of, is_causal, max_length, refuse_unsuited
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS, BETWEEN, UNKNOWN, refuse_unknown

_CONFIGURATION = 10**6
"""Largest size of a tokenizer's configuration, in bytes."""


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer that was proved to be a plain table: ``prefix + ids of the residues + suffix``."""

    prefix: tuple[int, ...]
    """Tokens before the first residue: those that the tokenizer adds, then those of the spec's prefix."""
    suffix: tuple[int, ...]
    """Tokens behind the last residue: those of the spec's suffix, then those that the tokenizer adds."""
    ids: NDArray[np.int64]
    """``(128,)``, token by ASCII code of the residue; -1 if there is none."""
    mask: int | None = None
    """Mask token; None if there is none."""
    between: tuple[int, ...] = ()
    """Tokens between the chains of a pair."""
    further: int = 0
    """Largest number of tokens beside the residues, those that the tokenizer adds, and one between two chains."""
    pair: Surroundings | None = None
    """Tokens around and between the chains of a pair; None if they are `prefix`, `between` and `suffix`."""

    @property
    def added(self) -> int:
        """Number of tokens around any sequence."""
        return len(self.prefix) + len(self.suffix)

    def length(self, sequence: str) -> int:
        """Return the number of tokens of a sequence, or of a pair with ``|`` between its chains."""
        if self.pair is not None and BETWEEN in sequence:
            return len(sequence) - 1 + sum(map(len, self.pair))
        return len(sequence) + self.added + (len(self.between) - 1) * sequence.count(BETWEEN)

    def places(self, sequence: str, residues: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of residues among the tokens from their places in the text."""
        if self.pair is not None and BETWEEN in sequence:
            light = residues > sequence.index(BETWEEN)
            return residues + len(self.pair.start) + light * (len(self.pair.between) - 1)
        places = residues + len(self.prefix)
        if BETWEEN in sequence:
            places = places + (len(self.between) - 1) * (residues > sequence.index(BETWEEN))
        return places

    def refuse_unread(self, sequences: Sequence[str]) -> None:
        """Raise a SequenceError that lists every X, if the vocabulary has no token for it."""
        if self.ids[ord(UNKNOWN)] < 0:
            refuse_unknown(sequences)

    def encode(self, sequences: list[str]) -> NDArray[np.int64]:
        """Return the tokens ``(n, length)`` of sequences with one `length`.

        Raises
        ------
        SequenceError
            If a residue has no token.
        """
        self.refuse_unread(sequences)
        if self.pair is not None and any(BETWEEN in sequence for sequence in sequences):
            return np.stack([self._tokens(sequence) for sequence in sequences])
        letters = np.frombuffer("".join(sequences).encode("ascii"), np.uint8)
        inner = self.ids[letters]
        bars = letters == ord(BETWEEN)
        if bars.any():
            repeats = np.where(bars, len(self.between), 1)
            inner = np.repeat(inner, repeats)
            inner[np.repeat(bars, repeats)] = np.tile(np.array(self.between, np.int64), bars.sum())
        inner = inner.reshape(len(sequences), -1)
        tokens = np.empty((len(sequences), inner.shape[1] + self.added), np.int64)
        start, stop = len(self.prefix), tokens.shape[1] - len(self.suffix)
        tokens[:, :start] = self.prefix
        tokens[:, start:stop] = inner
        tokens[:, stop:] = self.suffix
        return tokens

    def _tokens(self, sequence: str) -> NDArray[np.int64]:
        chains = [self.ids[np.frombuffer(chain.encode("ascii"), np.uint8)] for chain in sequence.split(BETWEEN)]
        if len(chains) == 1 or self.pair is None:
            return np.array([*self.prefix, *chains[0], *self.suffix], np.int64)
        return np.array([*self.pair.start, *chains[0], *self.pair.between, *chains[1], *self.pair.end], np.int64)


def longest(checkpoint: Checkpoint, spec: Controls) -> int:
    """Return the longest sequence in residues that a model reads with the control tokens of a spec.

    Raises
    ------
    CheckpointError
        If these leave no room, or are no tokens of the model.
    """
    limit = max_length(checkpoint)
    if takes_room(spec):
        limit -= vocabulary_of(checkpoint, spec).further
    if limit < 1:
        raise checkpoint.error("its positions leave no room for residues beside prefix, suffix and separator")
    return limit


def refuse_first_token(checkpoint: Checkpoint, vocabulary: Vocabulary) -> None:
    """Raise a CheckpointError if no first token depends on the sequence, for ``pooling="cls"``."""
    if is_causal(checkpoint):
        raise checkpoint.error(
            "it is causal, so its first token has the same vector in every sequence; use pooling='mean', or 'last'"
        )
    if not vocabulary.prefix:
        raise checkpoint.error("its tokenizer adds no start token, so there is no 'cls' pooling")


def vocabulary_of(checkpoint: Checkpoint, spec: Controls | None = None) -> Vocabulary:
    """Load a checkpoint's tokenizer and prove that it reads proteins.

    The proof: the twenty amino acids map to twenty distinct tokens, none of them the unknown token. X maps to one token
    or to none. For every ordered pair of residues, tokenizer and table give the same tokens. For joined chains, they
    also give the same tokens for two probes with the family's separator between the chains. Prefix, suffix and
    separator of a spec are whole tokens of the vocabulary, see `control_tokens`.

    Raises
    ------
    CheckpointError
        If any of this fails, for example with a vocabulary that was not read (every residue unknown) or lower-cased; or
        if a vocabulary describes structures too, as SaProt's.
    """
    family = family_of(checkpoint)
    joined = spec is not None and spec.pairs == "joined"
    own = joined and spec is not None and spec.separator is not None
    if checkpoint.converter is None:
        refuse_unsuited(checkpoint)
    if joined and not own and family.between is None:
        kind = checkpoint.config.get("model_type")
        raise checkpoint.error(
            f"models of its family, {kind}, read one chain; embed each chain separately: pairs='apart'. If this model "
            "was trained on pairs, name the tokens between two chains: separator='...'"
        )
    if checkpoint.converter is not None:
        table = _table(checkpoint, checkpoint.converter)
        refused = {checkpoint.config["pad_token_id"], table.numbers["<mask>"]}
        return _surrounded(checkpoint, _converted(table), table.numbers, refused, spec)
    tokenizer = _tokenizer(checkpoint)
    _refuse_structures(checkpoint, tokenizer)
    separator = family.separator
    problems = []
    for candidate in ("", " ") if separator is None else (separator,):
        try:
            vocabulary = _prove(tokenizer, candidate)
            if joined and not own:
                vocabulary = _prove_pairs(tokenizer, candidate, vocabulary, family)
            _refuse_above(checkpoint.config.get("vocab_size"), vocabulary)
        except ValueError as error:
            problems.append(str(error))
            continue
        numbers = tokenizer.get_vocab()
        refused = {tokenizer.unk_token_id, tokenizer.pad_token_id, tokenizer.mask_token_id}
        whole = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
        return _surrounded(checkpoint, vocabulary, numbers, refused, spec, whole)
    raise checkpoint.error(f"its tokenizer does not read proteins: {'; '.join(problems)}")


def _surrounded(
    checkpoint: Checkpoint,
    vocabulary: Vocabulary,
    numbers: Mapping[str, int],
    refused: Collection[int | None],
    spec: Controls | None,
    whole: Collection[str] = (),
) -> Vocabulary:
    """Return a table with the tokens of a spec's prefix, suffix and separator, none of which is a residue."""
    if spec is None:
        return vocabulary
    residues = set(vocabulary.ids[vocabulary.ids >= 0].tolist())

    def tokens(field: str, text: str | None) -> tuple[int, ...]:
        try:
            return control_tokens(text or "", numbers, residues, refused, whole)
        except ValueError as error:
            raise checkpoint.error(f"{field} {text!r} is not read: its vocabulary {error}") from error

    prefix, suffix = tokens("prefix", spec.prefix), tokens("suffix", spec.suffix)
    between = vocabulary.between
    if spec.pairs == "joined" and spec.separator is not None:
        between = tokens("separator", spec.separator)
    surrounded = replace(
        vocabulary,
        prefix=(*vocabulary.prefix, *prefix),
        suffix=(*suffix, *vocabulary.suffix),
        between=between,
        further=len(prefix) + len(suffix) + max(0, len(between) - 1),
        pair=_around(vocabulary.pair, prefix, between if spec.separator is not None else None, suffix),
    )
    try:
        _refuse_above(checkpoint.config.get("vocab_size"), surrounded)
    except ValueError as error:
        raise checkpoint.error(f"its prefix, suffix or separator is not read: {error}") from error
    return surrounded


def _refuse_structures(checkpoint: Checkpoint, tokenizer: Any) -> None:
    """Raise an error for vocabularies of residues with a letter of their structure, as SaProt's (``A#``, ``Ap``)."""
    tokens = tokenizer.get_vocab()
    if any(all(residue + letter in tokens for residue in AMINO_ACIDS) for letter in _STRUCTURE):
        raise checkpoint.error(STRUCTURES)


_STRUCTURE = "#acdefghiklmnpqrstvwy"
"""Letters of Foldseek's alphabet of structures, 3Di, and that of an unknown structure."""


def _around(
    pair: Surroundings | None, prefix: tuple[int, ...], between: tuple[int, ...] | None, suffix: tuple[int, ...]
) -> Surroundings | None:
    """Return the tokens of a pair with those of a spec; None if there are none of its own."""
    if pair is None:
        return None
    return Surroundings((*pair.start, *prefix), pair.between if between is None else between, (*suffix, *pair.end))


def _table(checkpoint: Checkpoint, converter: Conversion) -> TokenTable:
    try:
        return converter.table(checkpoint.files)
    except (OSError, ValueError) as error:
        raise checkpoint.error(f"its vocabulary cannot be read: {error}") from error


def _converted(table: TokenTable) -> Vocabulary:
    """Return the table of a model without a tokenizer of transformers; there is none to compare it with."""
    ids = np.full(128, -1, np.int64)
    for residue in ALPHABET:
        ids[ord(residue)] = table.numbers[residue]
    return Vocabulary(table.single.start, table.single.end, ids, table.numbers["<mask>"], pair=table.pair)


_WITHOUT_A_FILE = ("ByT5Tokenizer", "CanineTokenizer")
"""Classes whose tokens are bytes or code points, so that they have no vocabulary file."""


def _class_of(checkpoint: Checkpoint) -> str:
    """Return the class that the configuration of a tokenizer names; empty text if it names none."""
    if "tokenizer_config.json" not in checkpoint.files:
        return ""
    try:
        config = parse_json(read_regular(checkpoint.files["tokenizer_config.json"], _CONFIGURATION))
    except (OSError, ValueError) as error:
        raise checkpoint.error(f"its tokenizer_config.json cannot be read: {error}") from error
    return str(config.get("tokenizer_class") or "") if isinstance(config, dict) else ""


def _tokenizer(checkpoint: Checkpoint) -> Any:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast

    family = family_of(checkpoint)
    vocabularies = checkpoint.files.keys() & set(VOCABULARY_FILES)
    if not vocabularies and _class_of(checkpoint) not in _WITHOUT_A_FILE:
        raise checkpoint.error(f"it has no tokenizer; expected one of {', '.join(VOCABULARY_FILES)}")
    # Without a configuration of the vocabulary, transformers lower-cases the residues, which makes them all unknown.
    options = {} if "tokenizer_config.json" in checkpoint.files else {"do_lower_case": False}
    with checkpoint.staged() as folder:
        try:
            if family.verbatim_tokenizer and "tokenizer.json" in checkpoint.files:
                return PreTrainedTokenizerFast.from_pretrained(folder)
            of_roberta = family.padding is not None and family.separator is None
            if of_roberta and vocabularies == {"vocab.txt"} and not _class_of(checkpoint):
                return BertTokenizer.from_pretrained(folder, **options)  # RoBERTa's own class reads no list
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **options)
        except (*CRAFTED, StrictDataclassError) as error:
            raise checkpoint.error(f"its tokenizer cannot be loaded: {str(error)[:500]}") from error


def _prove(tokenizer: Any, separator: str) -> Vocabulary:
    def tokens(residues: str) -> list[int]:
        try:
            numbers = list(tokenizer(separator.join(residues))["input_ids"])
        except Exception as error:
            raise ValueError(f"it fails at {residues!r}: {error}") from error
        if None in numbers:
            raise ValueError(f"it has no number for a token of {residues!r}")
        return numbers

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
    unknown = {tokenizer.unk_token_id}
    with suppress(ValueError):
        stranger = tokens(_STRANGER)
        if len(stranger) == len(prefix) + 1 + len(suffix):
            unknown.add(stranger[len(prefix)])
    twenty = ids[[ord(residue) for residue in AMINO_ACIDS]]
    if len(set(twenty.tolist())) != len(AMINO_ACIDS):
        raise ValueError("the twenty amino acids do not have twenty distinct tokens")
    if unknown & set(twenty.tolist()):
        raise ValueError("an amino acid is the unknown token")
    taken = {*twenty.tolist(), *tokenizer.all_special_ids} - unknown
    if ids[ord(UNKNOWN)] in taken:
        raise ValueError("X has the token of an amino acid, or a special token")

    vocabulary = Vocabulary(prefix, suffix, ids, tokenizer.mask_token_id)
    for probe in _pairs(alphabet):
        if tokens(probe) != vocabulary.encode([probe])[0].tolist():
            raise ValueError(f"tokens depend on their neighbours, for example in {probe!r}")
    return vocabulary


_STRANGER = "☃"
"""Letter of no vocabulary of proteins, whose token is the unknown one, also if the configuration names none."""
_BLANKS = " ▁Ġ"
"""Characters for a space at the beginning of a token in vocabularies."""


def _replaces(tokenizer: Any) -> bool:
    """Return whether letters without a token become the unknown one; otherwise they are left out, or an error."""
    if not tokenizer.is_fast:
        return tokenizer.unk_token_id is not None
    from tokenizers.models import Unigram

    model = tokenizer.backend_tokenizer.model
    if isinstance(model, Unigram):
        return json.loads(model.__getstate__())["unk_id"] is not None  # it has no attribute for it
    return model.unk_token is not None and model.token_to_id(model.unk_token) is not None


def _prove_pairs(tokenizer: Any, separator: str, vocabulary: Vocabulary, family: Family) -> Vocabulary:
    token = tokenizer.convert_tokens_to_ids(family.between)
    if token is None or token == tokenizer.unk_token_id:
        raise ValueError(f"it has no token {family.between!r} to stand between two chains")
    joined = replace(vocabulary, between=(token,))
    alphabet = ALPHABET if vocabulary.ids[ord(UNKNOWN)] >= 0 else AMINO_ACIDS
    for heavy, light in (("ACD", "EFG"), (alphabet, alphabet[::-1])):
        pair = list(tokenizer(separator.join([*heavy, str(family.between), *light]))["input_ids"])
        if pair != joined.encode([f"{heavy}{BETWEEN}{light}"])[0].tolist():
            raise ValueError(
                f"with {family.between!r} between two chains, the tokens are not those of the single residues"
            )
    return joined


def _refuse_above(size: Any, vocabulary: Vocabulary) -> None:
    highest = max((*vocabulary.prefix, *vocabulary.suffix, *vocabulary.between, int(vocabulary.ids.max())))
    if isinstance(size, int) and highest >= size:
        raise ValueError(f"it gives token {highest}, and the model has {size}")


def _pairs(alphabet: str) -> Iterator[str]:
    """Yield short sequences in which every ordered pair of residues occurs."""
    for first in alphabet:
        yield "".join(chain.from_iterable((first, second) for second in alphabet))
