"""A data set is cut to a fragment."""

from collections.abc import Sequence
from dataclasses import replace

from antibody_esm.data.dataset import Dataset
from antibody_esm.data.parts import FRAGMENTS, Chain, Fragment
from antibody_esm.data.reading import Reading, Texts, refuse
from antibody_esm.errors import DatasetError
from antibody_esm.numbering import NANOBODY_SPECIES

__all__ = ["FRAGMENTS", "Fragment", "cut"]


def cut(
    data: Dataset,
    fragment: str,
    *,
    chain: Chain | None = None,
    species: Sequence[str] | None = None,
    drop: bool = False,
) -> Dataset:
    """Return the data with each chain cut to its part of a fragment; see `Dataset.cut`."""
    if fragment not in FRAGMENTS:
        raise DatasetError(f"unknown fragment {fragment!r}; choose one of {', '.join(FRAGMENTS)}")
    of_both = FRAGMENTS[fragment].chain == "both"
    read_by = Reading(
        chain or ("paired" if of_both and data.chain == "paired" else FRAGMENTS[fragment].chain),
        fragment,
        species=tuple(species or (NANOBODY_SPECIES if fragment == "VHH" else data.species)),
    )
    for name in read_by.chains:
        if getattr(data, name) is None:
            raise DatasetError(f"{fragment} needs {name} chains, which this data set has not", data.file, column=name)
    texts = read_by.read(data.chains)
    if not drop:
        hint = ". They can be left out with drop=True"
        refuse_rows(data, texts, f"have no whole {fragment}", hint, column=read_by.chain)
    return read_as(data, read_by, texts)


def read_dataset_by(reading: Reading, data: Dataset, check: bool | None = None) -> Texts:
    """Return the texts that are read of a data set of the same chain, or the reasons why antibodies are refused.

    Raises
    ------
    DatasetError
        If the data are of another chain, or are other loops or frameworks.
    """
    theirs = data.reading
    if reading.chain != theirs.chain or not (theirs.whole or reading.same_part(theirs)):
        raise DatasetError(f"the model reads {reading} sequences, and these are {theirs} ones")
    if data.fragment is None or not reading.same_part(theirs):
        return reading.read(data.chains, check=check)
    if reading.check if check is None else check:
        return reading.verify(data.chains)
    return replace(reading, fragment=None).read(data.chains, check=False)


def refuse_rows(data: Dataset, texts: Texts, what: str, hint: str = "", column: str | None = None) -> None:
    """Raise a DatasetError that lists the rows of a data set which are refused, see `reading.refuse`."""
    refuse(texts, what, hint, data.places, data.file, column)


def read_as(data: Dataset, read_by: Reading, texts: Texts) -> Dataset:
    """Return the rows that are read, whose chains are the texts.

    Raises
    ------
    DatasetError
        If no row is read.
    """
    if not texts.rows:
        refuse_rows(data, texts, f"have no whole {read_by.fragment or read_by.chain}")
    theirs = data.reading
    if not texts.reasons and (theirs.chain, theirs.fragment) == (read_by.chain, read_by.fragment):
        return data  # which is that part already
    parts = [parts for parts in texts.parts if parts is not None]
    chains = dict(zip(read_by.chains, map(list, zip(*parts, strict=True)), strict=True))
    dropped = {data.ids[row]: reason for row, reason in texts.reasons.items()}
    counts = {} if read_by.fragment is None else {f"with a whole {read_by.fragment}": len(parts)}
    return replace(
        data.subset(texts.rows),
        heavy=chains.get("heavy"),
        light=chains.get("light"),
        chain=read_by.chain,
        fragment=read_by.fragment,
        species=read_by.species,
        provenance=replace(
            data.provenance,
            counts=data.provenance.counts | counts,
            dropped=data.provenance.dropped | dropped,
        ),
    )
