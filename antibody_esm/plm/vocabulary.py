"""Tokenizer of a model, proved to be a plain table of residues."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import CRAFTED
from antibody_esm.plm.checkpoints import STRUCTURES, VOCABULARY_FILES, Checkpoint
from antibody_esm.plm.controls import Controls, control_tokens, takes_room
from antibody_esm.plm.families import Family, family_of, is_causal, max_length, refuse_unsuited
from antibody_esm.plm.sapiens import END, PADDING, START, Converter
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS, BETWEEN, UNKNOWN, refuse_unknown


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

    @property
    def added(self) -> int:
        """Number of tokens around any sequence."""
        return len(self.prefix) + len(self.suffix)

    def length(self, sequence: str) -> int:
        """Return the number of tokens of a sequence, or of a pair with ``|`` between its chains."""
        return len(sequence) + self.added + (len(self.between) - 1) * sequence.count(BETWEEN)

    def places(self, sequence: str, residues: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of residues among the tokens from their places in the text."""
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
        numbers = _numbers(checkpoint, checkpoint.converter)
        return _surrounded(checkpoint, _converted(numbers), numbers, {PADDING, numbers["<mask>"]}, spec)
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
        return _surrounded(checkpoint, vocabulary, numbers, refused, spec)
    raise checkpoint.error(f"its tokenizer does not read proteins: {'; '.join(problems)}")


def _surrounded(
    checkpoint: Checkpoint,
    vocabulary: Vocabulary,
    numbers: Mapping[str, int],
    refused: Collection[int | None],
    spec: Controls | None,
) -> Vocabulary:
    """Return a table with the tokens of a spec's prefix, suffix and separator, none of which is a residue."""
    if spec is None:
        return vocabulary
    residues = set(vocabulary.ids[vocabulary.ids >= 0].tolist())

    def tokens(field: str, text: str | None) -> tuple[int, ...]:
        try:
            return control_tokens(text or "", numbers, residues, refused)
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


def _numbers(checkpoint: Checkpoint, converter: Converter) -> dict[str, int]:
    try:
        return converter.numbers(checkpoint.files)
    except (OSError, ValueError) as error:
        raise checkpoint.error(f"its vocabulary cannot be read: {error}") from error


def _converted(numbers: Mapping[str, int]) -> Vocabulary:
    """Return the table of a model without a tokenizer of transformers; there is none to compare it with."""
    ids = np.full(128, -1, np.int64)
    for residue in ALPHABET:
        ids[ord(residue)] = numbers[residue]
    return Vocabulary((START,), (END,), ids, numbers["<mask>"])


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
