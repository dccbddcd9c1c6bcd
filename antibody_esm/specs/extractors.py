"""Spec of one language model, and of the vector that it computes from a sequence."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from antibody_esm.choices import Engines, Pooling, Precision, Region
from antibody_esm.errors import CheckpointError
from antibody_esm.specs.address import Around, Between, Digest, Pairs, ResolvedExtractorSpec, Storage
from antibody_esm.specs.base import Seed, Spec
from antibody_esm.specs.local_models import folder_name, is_folder


class ExtractorSpec(Spec):
    """Language model, and the vector that it computes from a sequence.

    Examples
    --------
    >>> ExtractorSpec(model="facebook/esm2_t6_8M_UR50D", layer=4)
    ExtractorSpec(model='facebook/esm2_t6_8M_UR50D', layer=4)
    """

    later: ClassVar[frozenset[str]] = frozenset(
        {
            *("species", "engines", "random_weights", "prefix", "suffix", "separator", "tokenizer"),
            *("tokenizer_revision", "adapter"),
        }
    )

    model: Annotated[str, Field(min_length=1)]
    """Name on the Hugging Face hub, a local folder, ``"antiberty"`` (weights from the ``[quickstart]`` extra),
    ``"sapiens_vh"`` or ``"sapiens_vl"`` (weights from ``pip install --no-deps sapiens==1.0.2``), or ``"ablang2"`` or
    ``"ablang2_vl"`` (network from the ``[ablang2]`` extra)."""
    revision: str | None = None
    """Branch, tag or commit on the hub; None is the main branch. Local folders have none."""
    digest: Digest | None = None
    """Digest of the model's files: other files are a CheckpointError. `pin` sets it."""
    layer: int | None = None
    """Hidden state, counted as in transformers: 0 the embeddings, 1 after the first layer, None or -1 the last."""
    pooling: Pooling = "mean"
    """Pooling of residue vectors: mean, maximum or (population) standard deviation per dimension; ``cls``, the vector
    of the first token; ``last``, that of the last residue, which has read the whole sequence in a causal model. ``cls``
    of a causal model is a CheckpointError, since it is the same vector in every sequence. ``attention``, a weighted
    mean, has its weights in `adapter`."""
    region: Region = "all"
    """Residues that are pooled, by IMGT numbering of every variable domain in the sequence. The model still reads the
    whole sequence. A sequence without such a region is a SequenceError."""
    special_tokens: Literal["exclude", "include"] = "exclude"
    """``include`` also pools the tokens around and between chains: start, end, `prefix`, `suffix`, `separator`. With
    ``pooling="last"`` it takes the last of all tokens."""
    precision: Precision = "float32"
    """Number format of weights and arithmetic; returned vectors are always float32. int8 is for BERT, RoBERTa and ESM
    models on a CPU: weights are scaled by output and states by token, so a row does not depend on its batch."""
    storage: Storage = "float32"
    """Number format of computed vectors: float16 needs half the disk space, int8 (with a scale for each vector) a
    quarter. Vectors are rounded even if they are not stored, so a store never changes a result."""
    max_length: PositiveInt | None = None
    """Longest sequence in residues; None is the model's own limit, in which control tokens take room."""
    truncation: bool = False
    """True cuts longer sequences to `max_length`; False refuses them."""
    pairs: Pairs = "apart"
    """Embedding of the two chains of an antibody. ``apart``: one by one, with their vectors side by side, heavy first.
    ``joined``: as one sequence with `separator` between them, for models that were trained on pairs. Single chains have
    the same vector either way."""
    species: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Species whose profiles number the residues of a region. None: in a `Trainer` those of the data set, else human
    and mouse."""
    engines: Engines = "anarcism"
    """Programs that number the residues of a region, see `antibody_esm.numbering.number`; rows that another choice
    numbered have another address."""
    random_weights: Seed | None = None
    """Seed of random weights in place of the trained ones: the same architecture before its training, as transformers
    initialises it. Only configuration and tokenizer are read; `digest` is that of these files."""
    prefix: Around = None
    """Control tokens before the first residue, as the model's authors write them: ``<AA2fold>`` (ProstT5), ``[NLU]``
    (Ankh3), ``[HEAVY][HUMAN]`` (IgLM). They are whole tokens of the vocabulary, else there is a CheckpointError, and no
    residues: they are input of the model, and pooled with ``special_tokens="include"`` only."""
    suffix: Around = None
    """Control tokens behind the last residue, such as ``2`` (p-IgGen, ProGen2); see `prefix`."""
    separator: Between = None
    """Control tokens between the chains of a pair that is joined; empty text for none. None is the model's own: known
    for IgBert, IgT5 and ESM-C. CurrAb has ``<cls>``."""
    tokenizer: Annotated[str, Field(min_length=1)] | None = None
    """Repository on the hub or local folder of the tokenizer, if the weights come without one. `digest` is then over
    both."""
    tokenizer_revision: str | None = None
    """Branch, tag or commit of `tokenizer`; None is the main branch."""
    adapter: Digest | None = None
    """Digest of the adapter of a fine-tuned model, see `FineTuneSpec`; an adapter of another model is a
    CheckpointError."""

    @model_validator(mode="after")
    def _region_has_residues(self) -> Self:
        if self.region != "all" and (self.pooling == "cls" or self.special_tokens == "include"):
            raise ValueError(
                "a region requires pooling mean, max, std, last or attention, and special_tokens='exclude'"
            )
        return self

    @model_validator(mode="after")
    def _revision_of_a_tokenizer(self) -> Self:
        if self.tokenizer is None and self.tokenizer_revision is not None:
            raise ValueError("tokenizer_revision requires tokenizer; the model's own has the model's revision")
        return self

    @model_validator(mode="after")
    def _adapter_has_its_base(self) -> Self:
        if self.adapter is not None and self.random_weights is not None:
            raise ValueError("an adapter belongs to trained weights; leave random_weights out")
        if self.adapter is None and self.pooling == "attention":
            raise ValueError("pooling='attention' has its weights in an adapter, which FineTuneSpec trains")
        return self

    @model_validator(mode="after")
    def _no_pair_is_cut(self) -> Self:
        if self.pairs == "joined" and self.truncation:
            raise ValueError("pairs='joined' requires truncation=False: a cut pair would lose its light chain")
        return self

    def resolve(self, checkpoints: Sequence[str] = ()) -> ResolvedExtractorSpec:
        """Return the address of this spec's rows; reads the model's files.

        `checkpoints` are those of `RuntimeSpec`.

        Raises
        ------
        CheckpointError
            If the files cannot be found or read, have another digest than the pinned one, or lack the layer.
        """
        from antibody_esm.numbering import SPECIES, method
        from antibody_esm.plm.resolution import resolve

        files = resolve(self, checkpoints)
        return ResolvedExtractorSpec(
            digest=files.digest,
            layer=files.layer,
            pooling=self.pooling,
            region=self.region,
            numbering=None if self.region == "all" else method(self.species or SPECIES, self.engines),
            special_tokens=self.special_tokens,
            precision=self.precision,
            storage=self.storage,
            truncate_to=files.truncate_to,
            pairs=self.pairs,
            random_weights=self.random_weights,
            prefix=self.prefix,
            suffix=self.suffix,
            separator=self.separator if self.pairs == "joined" else None,
            adapter=self.adapter,
        )

    @property
    def address(self) -> str:
        """Fingerprint of this spec's rows in a store; reads the model's files."""
        return self.resolve().fingerprint

    def views(
        self,
        layers: Sequence[int | None] = (None,),
        poolings: Sequence[Pooling] = ("mean",),
        regions: Sequence[Region] = ("all",),
    ) -> "list[ExtractorSpec]":
        """Return the model's specs for every layer, pooling and region; ``cls`` has region ``all`` only.

        Examples
        --------
        >>> len(ExtractorSpec(model="m").views([11, 12], ["mean", "cls"], ["all", "cdr3"]))
        6
        """
        return [
            self.model_validate({**dict(self), "layer": layer, "pooling": pooling, "region": region})
            for layer in layers
            for pooling in poolings
            for region in regions
            if pooling != "cls" or region == "all"
        ]

    @property
    def of_one_pass(self) -> "ExtractorSpec":
        """The spec without the fields in which views of one pass of the model may differ."""
        view = {"layer": None, "pooling": "mean", "region": "all", "special_tokens": "exclude", "storage": "float32"}
        return self.model_copy(update=view)

    def pin(self) -> "ExtractorSpec":
        """Return the spec with digest and layer, so that rows of a store can be read without the model's files.

        Of a local folder, it has the last name, also of a tokenizer's.
        """
        return self.pinned_to(self.resolve())

    def numbered_by(self, species: Sequence[str]) -> "ExtractorSpec":
        """Return the spec with these species, if it has a region.

        Raises
        ------
        ValueError
            If the spec names other species.
        """
        from antibody_esm.numbering import SPECIES

        if self.region == "all" or (tuple(species) == SPECIES and self.species is None):
            return self
        if self.species is not None and set(self.species) != set(species):
            ours, theirs = (", ".join(sorted(names)) for names in (self.species, species))
            raise ValueError(
                f"extractor.species is {ours}, but the data are numbered by {theirs}; leave extractor.species out"
            )
        return self.model_copy(update={"species": tuple(species)})

    def pinned_to(self, resolved: ResolvedExtractorSpec) -> "ExtractorSpec":
        """Return the spec with the digest, layer and length limit of a resolved spec; a folder has its last name."""
        limit = resolved.truncate_to or self.max_length
        pinned = {"digest": resolved.digest, "layer": resolved.layer, "max_length": limit}
        return self.model_copy(update=self._names() | pinned)

    def _names(self) -> dict[str, str | None]:
        """Return the names of model and tokenizer, without paths."""
        return {"model": folder_name(self.model), "tokenizer": self.tokenizer and folder_name(self.tokenizer)}

    def with_folders(self, model: Path | None, tokenizer: Path | None) -> "ExtractorSpec":
        """Return the spec with the paths of local folders; a part that has none (None) keeps its name."""
        paths = {"model": model, "tokenizer": self.tokenizer and tokenizer}
        return self.model_copy(update={field: str(path) for field, path in paths.items() if path})

    def portable(self) -> "ExtractorSpec":
        """Return the spec without a path: a local folder is named by its last name, and by the digest of its files.

        A folder that is not here, or cannot be read, has the name alone.
        """
        if not is_folder(self.model) and not (self.tokenizer is not None and is_folder(self.tokenizer)):
            return self
        digest = self.digest
        if digest is None:
            with suppress(CheckpointError):
                digest = self.resolve().digest
        return self.model_copy(update=self._names() | {"digest": digest})
