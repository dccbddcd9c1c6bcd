"""Spec of descriptors, which need no language model."""

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
    """Choice of descriptors that need no language model; see `antibody_esm.descriptors`.

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
    """Descriptors in the order of columns. ``protscale`` and ``aaindex`` are means over residues of each scale."""
    pk: PKSet = "bjellqvist"
    """Dissociation constants for isoelectric point and net charge."""
    ph: Annotated[float, Field(ge=0, le=14)] = 7.4
    """pH of the net charge."""
    hydrophobicity: HydrophobicityScale = "kyte_doolittle"
    """Scale of ``hydrophobicity``."""
    kmer: Annotated[int, Field(ge=1, le=3)] = 3
    """Largest k of ``kmers``; smaller k are counted too."""
    kmer_values: Literal["frequency", "count"] = "frequency"

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.descriptors)) < len(self.descriptors):
            raise ValueError("each descriptor may be named only once")
        return self

    def pin(self) -> Self:
        """Return self: descriptors depend only on the spec."""
        return self

    def numbered_by(self, species: Sequence[str]) -> Self:
        """Return self: no residue is numbered."""
        return self

    @property
    def address(self) -> str:
        """The fingerprint: there are no files."""
        return self.fingerprint
