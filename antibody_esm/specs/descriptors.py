"""Spec of numbers that need no language model."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from antibody_esm.specs.base import Spec

Descriptor = Literal[
    "length", "isoelectric_point", "net_charge", "hydrophobicity", "composition", "kmers", "protscale", "aaindex"
]
PKSet = Literal["bjellqvist", "emboss"]
HydrophobicityScale = Literal["kyte_doolittle", "eisenberg", "engelman", "fauchere", "black_mould"]


class DescriptorSpec(Spec):
    """Which numbers are computed from a sequence alone, without a language model; see `antibody_esm.descriptors`.

    Examples
    --------
    >>> DescriptorSpec(descriptors=("length", "net_charge"), ph=6.0)
    DescriptorSpec(descriptors=('length', 'net_charge'), ph=6.0)
    """

    kind: Literal["descriptors"] = "descriptors"
    descriptors: Annotated[tuple[Descriptor, ...], Field(min_length=1)] = (
        "length",
        "isoelectric_point",
        "net_charge",
        "protscale",
        "aaindex",
    )
    """In the order of the columns. ``protscale`` and ``aaindex``: the mean over residues of each of their scales."""
    pk: PKSet = "bjellqvist"
    """Dissociation constants for isoelectric point and net charge."""
    ph: Annotated[float, Field(ge=0, le=14)] = 7.4
    """At which the net charge is taken."""
    hydrophobicity: HydrophobicityScale = "kyte_doolittle"
    """The scale of ``hydrophobicity``."""
    kmer: Annotated[int, Field(ge=1, le=3)] = 3
    """Residues of the longest words that ``kmers`` counts; shorter ones are counted too."""
    kmer_values: Literal["frequency", "count"] = "frequency"

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.descriptors)) < len(self.descriptors):
            raise ValueError("each descriptor is named once")
        return self

    def pin(self) -> Self:
        """Return self: nothing outside of the spec changes a number."""
        return self

    def numbered_by(self, species: Sequence[str]) -> Self:
        """Return self: no residue is numbered."""
        return self

    @property
    def address(self) -> str:
        """The fingerprint, as there are no files."""
        return self.fingerprint
