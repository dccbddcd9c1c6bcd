"""Nanobodies of Harvey et al. 2022: 48 measured one by one, and 141,474 sorted by the ten thousand."""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from antibody_esm.data.dataset import Dataset, Provenance
from antibody_esm.data.downloads import RawFile, download, fetch
from antibody_esm.errors import DatasetError, place
from antibody_esm.licences import DATA
from antibody_esm.numbering import NANOBODY_SPECIES

MODERATE, HIGH = 6.236923, 60.022029
"""The authors' thresholds of moderate and of high polyreactivity, in percent of the highest clone's binding."""

_POSITION = re.compile(r"\d+[A-Z]?")
_FOLDER = (
    "https://raw.githubusercontent.com/debbiemarkslab/nanobody-polyreactivity/"
    "e0f0a31943564bf43a3c62164eaf0837775d0f04/backend/app/experiments/"
)
_SORTED = {"low_polyreactivity_high_throughput.csv": 0, "high_polyreactivity_high_throughput.csv": 1}


def harvey(labels: str = "psr") -> Dataset:
    """Return the 48 nanobodies with labels of one kind.

    Parameters
    ----------
    labels
        ``psr``: binding to the polyspecificity reagent, in percent of the highest clone. ``moderate``, ``high``: 1 at
        or above the authors' threshold of moderate or of high polyreactivity.
    """
    file = fetch("harvey/low_throughput.csv")
    with file.path.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    score = np.array([float(row["Biorep average"]) for row in rows])
    limits = {"moderate": MODERATE, "high": HIGH}
    if labels not in (*limits, "psr"):
        raise DatasetError(f"unknown labels {labels!r} of 'harvey'; choose psr, moderate or high")
    meaning = f"1: from {limits[labels]:.1f} % of it on" if labels in limits else "mean of three replicates"
    return Dataset(
        ids=[row["ID"] for row in rows],
        heavy=[_sequence(row) for row in rows],
        label=score if labels == "psr" else (score >= limits[labels]).astype(float),
        label_name="psr" if labels == "psr" else "polyreactivity",
        species=NANOBODY_SPECIES,
        measurements={"psr": score},
        provenance=replace(
            _PROVENANCE,
            rule=f"binding to the polyspecificity reagent, in percent of the highest clone; {meaning}",
            sha256={file.path.name: file.sha256},
            counts={"nanobodies": len(rows)},
        ),
    )


def stream_harvey(sha256: dict[str, str] | None = None, rows: int = 10_000) -> Iterator[Dataset]:
    """Yield the 141,474 sorted nanobodies in batches: label 0 for the pool that bound least, 1 for most.

    Parameters
    ----------
    sha256
        Digests of ``low_polyreactivity_high_throughput.csv`` and ``high_polyreactivity_high_throughput.csv``, from a
        source that you trust. This package has no digests of these files, because they could not be downloaded when it
        was built, and it reads no unchecked file.
    rows
        Most nanobodies in a batch.

    Yields
    ------
    Data sets of up to `rows` nanobodies; their ids are the file's row numbers.

    Raises
    ------
    DatasetError
        If a digest is missing, a file cannot be downloaded or has another digest, or a row cannot be read.
    """
    absent = [name for name in _SORTED if name not in (sha256 or {})]
    if absent:
        raise DatasetError(f"the SHA-256 of {' and '.join(absent)} is missing; pass sha256={{name: digest}}")
    files = {name: download(f"harvey/{name}", _FOLDER + name, (sha256 or {})[name]) for name in _SORTED}
    for name, label in _SORTED.items():
        yield from _stream(files[name], label, rows)


def _stream(file: RawFile, label: int, rows: int) -> Iterator[Dataset]:
    kind = "high" if label else "low"
    with file.path.open(encoding="utf-8-sig", newline="") as lines:
        table = enumerate(csv.DictReader(lines))
        while block := list(islice(table, rows)):
            yield Dataset(
                ids=[f"{kind}_{number}" for number, _ in block],
                heavy=[_sequence(row, file.path, number) for number, row in block],
                label=[label] * len(block),
                species=NANOBODY_SPECIES,
                provenance=replace(
                    _PROVENANCE,
                    source=f"harvey: sorted nanobodies, {file.path.name}",
                    rule="0: of the pool that bound least, 1: of the pool that bound most",
                    sha256={file.path.name: file.sha256},
                    counts={"nanobodies": len(block)},
                ),
            )


def _sequence(row: dict[str, str], path: Path | None = None, number: int | None = None) -> str:
    """Return the sequence of a row with one column per position, insertions included."""
    positions = [name for name in row if name and _POSITION.fullmatch(name)]
    sequence = "".join(row[name] or "" for name in positions).replace("-", "")
    if len(positions) < 128 or not sequence:
        where = f"{place(number)} " if number is not None else ""
        raise DatasetError(f"{where}has no residues in columns 1 to 128", path, number)
    return sequence


_PROVENANCE = Provenance(
    source="harvey: nanobodies measured one by one",
    citation="Harvey et al., Nat Commun 2022, 13:7554, doi:10.1038/s41467-022-35276-4",
    licence=DATA["harvey"].name,
)
