"""Descriptors of sequences without a language model: length, charge, hydrophobicity, composition, k-mers, scales.

Descriptors are pure functions of one sequence. X, an unknown residue, counts towards the length, has no charge, and is
left out of means, fractions and k-mers. A sequence counts as one chain, with an amino and a carboxyl end, even if it
is a loop, or a heavy and a light chain joined. A pair has the descriptors of both chains side by side.

Mean values of residue scales (those of ProtScale, doi:10.1385/1-59259-890-0:571, and of AAindex,
doi:10.1093/nar/gkm998) are linear functions of the composition. They hold no more information than its twenty
fractions, and a linear classifier gains from them only through its penalty.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import BadResidue, SequenceError
from antibody_esm.numbering import SPECIES
from antibody_esm.numbering.heavy_light import heavy_and_light
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS, any_pair, chains_of, normalise
from antibody_esm.specs import DescriptorSpec, HydrophobicityScale, PKSet

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class PK(NamedTuple):
    """Dissociation constants of charged groups."""

    positive: dict[str, float]
    negative: dict[str, float]
    amino_end: float
    carboxyl_end: float
    amino_end_of: dict[str, float]
    """Constants of the amino end by first residue, if it matters."""
    carboxyl_end_of: dict[str, float]
    """Constants of the carboxyl end by last residue, if it matters."""


PK_SETS: dict[PKSet, PK] = {
    # doi:10.1002/elps.11501401163, doi:10.1002/elps.1150150171
    "bjellqvist": PK(
        positive={"K": 10.0, "R": 12.0, "H": 5.98},
        negative={"D": 4.05, "E": 4.45, "C": 9.0, "Y": 10.0},
        amino_end=7.5,
        carboxyl_end=3.55,
        amino_end_of={"A": 7.59, "M": 7.0, "S": 6.93, "P": 8.36, "T": 6.82, "V": 7.44, "E": 7.7},
        carboxyl_end_of={"D": 4.55, "E": 4.75},
    ),
    # Epk.dat of EMBOSS, doi:10.1016/S0168-9525(00)02024-2
    "emboss": PK(
        positive={"K": 10.8, "R": 12.5, "H": 6.5},
        negative={"D": 3.9, "E": 4.1, "C": 8.5, "Y": 10.1},
        amino_end=8.6,
        carboxyl_end=3.6,
        amino_end_of={},
        carboxyl_end_of={},
    ),
}

_HYDROPHOBICITY: dict[HydrophobicityScale, str] = {
    "kyte_doolittle": "kd",
    "eisenberg": "es",
    "engelman": "eg",
    "fauchere": "fc",
    "black_mould": "bm",
}
_PROTSCALE: dict[str, str] = {
    **{str(name): variable for name, variable in _HYDROPHOBICITY.items()},
    "aboderin": "ab",
    "abraham_leo": "al",
    "argos": "ag",
    "bull_breese": "bb",
    "casari": "cs",
    "cid": "ci",
    "fasman": "fs",
    "goldsack": "gd",
    "guy": "gy",
    "jones": "jo",
    "juretic": "ju",
    "kidera": "ki",
    "miyazawa": "mi",
    "parker": "pa",
    "ponnuswamy": "po",
    "rose": "ro",
    "roseman": "rm",
    "sweet": "sw",
    "tanford": "ta",
    "wilson": "wi",
    "zimmerman": "zi",
    "flexibility": "Flex",
    "hopp_woods": "hw",
    "emini": "em",
    "janin": "ja",
}
"""Names in Biopython, whose module cites the publication of each scale."""

_BISECTIONS = 50
"""Halvings of pH 0 to 14, enough for the last digit."""


class Descriptors(NamedTuple):
    """Descriptors of sequences."""

    values: "NDArray[np.float64] | csr_array"
    """``(n, d)``; sparse if they include k-mers, nearly all of which are 0."""
    names: tuple[str, ...]
    """``d`` names of the columns, such as ``length`` or ``aaindex_KYTJ820101``."""


def describe(sequences: Sequence[str], spec: DescriptorSpec | None = None) -> Descriptors:
    """Return the descriptors of each sequence.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences; X stands for an unknown residue. Or ``n`` pairs of chains, as ``(heavy, light)`` or
        as text with ``|`` between: ``2 d`` columns, the heavy chain first.
    spec
        Choice of descriptors; by default length, charge, isoelectric point and residue scales.

    Raises
    ------
    SequenceError
        If a sequence is not made of amino acids and X, or holds only X, or if pairs and single chains are mixed.

    Examples
    --------
    >>> values, names = describe(["EVQLVESGGG"], DescriptorSpec(descriptors=("length", "net_charge", "hydrophobicity")))
    >>> dict(zip(names, values[0].round(3).tolist()))
    {'length': 10.0, 'net_charge': -2.331, 'hydrophobicity': -0.03}
    >>> values, names = describe(["EVQLVESGGG|DIQMTQ"], DescriptorSpec(descriptors=("length",)))
    >>> dict(zip(names, values[0].tolist()))
    {'heavy_length': 10.0, 'light_length': 6.0}
    """
    spec = spec or DescriptorSpec()
    normal = normalise(sequences, pairs=True)
    if any_pair(normal):
        return _of_both_chains(normal, spec)
    return _of_one_chain(normal, spec)


def _of_both_chains(pairs: list[str], spec: DescriptorSpec) -> Descriptors:
    parts: list[Descriptors] = []
    bad: list[tuple[BadResidue, str]] = []
    for name, chains in zip(("heavy", "light"), chains_of(pairs), strict=True):
        try:
            parts.append(_of_one_chain(chains, spec))
        except SequenceError as error:
            bad += [(row, f"{why} in the {name} chain") for row, why in zip(error.rows, error.reasons, strict=True)]
    if bad:
        bad.sort(key=lambda offence: offence[0].index)
        raise SequenceError([row for row, _ in bad], [why for _, why in bad])
    heavy, light = parts
    names = (*(f"heavy_{name}" for name in heavy.names), *(f"light_{name}" for name in light.names))
    return Descriptors(_beside([heavy.values, light.values]), names)


def _of_one_chain(sequences: list[str], spec: DescriptorSpec) -> Descriptors:
    counts = _counts(sequences)
    _refuse_unknown(sequences, counts)
    parts: list[Any] = []
    names: list[str] = []
    for descriptor in spec.descriptors:
        values, columns = _descriptor(descriptor, sequences, counts, spec)
        parts.append(values)
        names += columns
    return Descriptors(_beside(parts), tuple(names))


def _beside(parts: list[Any]) -> Any:
    """Return the columns of all parts, sparse if any part is."""
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.hstack(parts)
    from scipy.sparse import csr_array, hstack

    return hstack([csr_array(part) for part in parts], format="csr")


def net_charge(sequences: Sequence[str], ph: float = 7.4, pk: PKSet = "bjellqvist") -> NDArray[np.float64]:
    """Return the charge ``(n,)`` at a pH, by the Henderson-Hasselbalch equation, with independent residues.

    Every cysteine counts as free, although most cysteines of an antibody form disulphide bridges; that matters above
    pH 8.

    Examples
    --------
    >>> net_charge(["EVQLVESGGG", "KVQLVKSGGG"], ph=7).round(2).tolist()
    [-2.16, 1.76]
    """
    sequences = normalise(sequences)
    return _charge(sequences, _counts(sequences), np.full(len(sequences), ph), PK_SETS[pk])


def isoelectric_point(sequences: Sequence[str], pk: PKSet = "bjellqvist") -> NDArray[np.float64]:
    """Return the pH ``(n,)``, 0 to 14, at which the charge of `net_charge` is 0.

    Examples
    --------
    >>> isoelectric_point(["EVQLVESGGG", "KVQLVKSGGG"]).round(2).tolist()
    [3.8, 10.0]
    """
    sequences = normalise(sequences)
    counts, constants = _counts(sequences), PK_SETS[pk]
    low, high = np.zeros(len(sequences)), np.full(len(sequences), 14.0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        positive = _charge(sequences, counts, middle, constants) > 0
        low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    point: NDArray[np.float64] = (low + high) / 2
    return point


def kmers(sequences: Sequence[str], longest: int = 3, *, frequencies: bool = False) -> Descriptors:
    """Return the counts of overlapping k-mers for k from 1 to `longest`; k-mers with X are left out.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences.
    longest
        Largest k, 1 to 3.
    frequencies
        Divide by the number of k-mers of the same k in the sequence; 0 if there is none.

    Returns
    -------
    ``(n, 20 + 400 + 8000)`` for `longest` 3, sparse.

    Examples
    --------
    >>> values, names = kmers(["VQVQ"], 2)
    >>> {names[j]: int(values[0, j]) for j in values[[0]].nonzero()[1]}
    {'kmer_Q': 2, 'kmer_V': 2, 'kmer_QV': 1, 'kmer_VQ': 2}
    """
    from scipy.sparse import coo_array, csr_array, hstack

    sequences = normalise(sequences)
    codes, row = _codes(sequences)
    n, letters = len(sequences), len(AMINO_ACIDS)
    parts, names = [], []
    for k in range(1, longest + 1):
        starts = np.arange(max(0, len(codes) - k + 1))
        word, inside = np.zeros(len(starts), np.int64), np.ones(len(starts), np.bool_)
        for offset in range(k):
            letter = codes[starts + offset]
            word = word * letters + letter
            inside &= (letter < letters) & (row[starts + offset] == row[starts])
        place = row[starts][inside], word[inside]
        counts = csr_array(coo_array((np.ones(inside.sum()), place), shape=(n, letters**k)))
        if frequencies:
            total = counts.sum(axis=1)
            counts = csr_array(counts.multiply(1 / np.maximum(total, 1)[:, None]))
        parts.append(counts)
        names += [f"kmer_{''.join(residues)}" for residues in product(AMINO_ACIDS, repeat=k)]
    return Descriptors(hstack(parts, format="csr"), tuple(names))


UNKNOWN = "unknown"
"""Germline gene of a chain that is missing or not recognised."""


def germline_genes(
    sequences: Sequence[str], *, species: Sequence[str] = SPECIES, workers: int | None = None
) -> NDArray[np.object_]:
    """Return the V genes ``(n, 2)`` of the heavy and of the light domain in each sequence, as text.

    Species and gene without its allele, such as ``"human IGHV3-66"``, or `UNKNOWN`. Encode them on the training rows,
    for example by scikit-learn's ``OneHotEncoder(handle_unknown="ignore")``.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences; or texts of pairs, with the heavy gene from the heavy chain and the light gene from
        the light chain.
    species, workers
        As for `antibody_esm.numbering.number`.

    Examples
    --------
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> germline_genes([vh + "SRWGGDGFYAMDYWGQGTLVTVSS", "GFNIKDTY"]).tolist()
    [['human IGHV3-66', 'unknown'], ['unknown', 'unknown']]
    """
    antibodies = heavy_and_light(sequences, species=species, workers=workers)
    genes = np.full((len(antibodies), 2), UNKNOWN, object)
    for i, domains in enumerate(antibodies):
        for j, domain in enumerate(domains):
            if domain is not None and domain.v_gene is not None:
                genes[i, j] = f"{domain.species} {re.sub(r'[*].*', '', domain.v_gene)}"
    return genes


def _descriptor(
    name: str, sequences: list[str], counts: NDArray[np.int64], spec: DescriptorSpec
) -> tuple[Any, Sequence[str]]:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    match name:
        case "length":
            return np.array([[len(sequence)] for sequence in sequences], np.float64).reshape(-1, 1), [name]
        case "isoelectric_point":
            return isoelectric_point(sequences, spec.pk)[:, None], [name]
        case "net_charge":
            return net_charge(sequences, spec.ph, spec.pk)[:, None], [name]
        case "hydrophobicity":
            scales, _ = _protscale()
            column = list(_PROTSCALE).index(spec.hydrophobicity)
            return _means(share, scales[:, [column]]), [name]
        case "composition":
            return share, [f"composition_{letter}" for letter in AMINO_ACIDS]
        case "kmers":
            return kmers(sequences, spec.kmer, frequencies=spec.kmer_values == "frequency")
        case "protscale":
            scales, names = _protscale()
            return _means(share, scales), names
        case "aaindex":
            scales, names = _aaindex()
            return _means(share, scales), names
    raise AssertionError(name)


def _means(share: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(n, d)`` mean values, summed in the order of the letters: a matrix product's order depends on shape."""
    means = np.zeros((len(share), scales.shape[1]))
    for letter in range(len(AMINO_ACIDS)):
        means += share[:, [letter]] * scales[letter]
    return means


@cache
def _protscale() -> tuple[NDArray[np.float64], tuple[str, ...]]:
    from Bio.SeqUtils import ProtParamData

    scales = {name: getattr(ProtParamData, variable) for name, variable in _PROTSCALE.items()}
    scales |= {f"cowan_ph_{ph}": ProtParamData.cw[ph] for ph in (3.4, 7.5)}
    table = np.array([[float(scale[letter]) for scale in scales.values()] for letter in AMINO_ACIDS])
    return table, tuple(f"protscale_{name}" for name in scales)


@cache
def _aaindex() -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the 553 of 566 indices with a value for every amino acid."""
    from aaindex import aaindex1

    values = {code: aaindex1[code]["values"] for code in sorted(aaindex1.record_codes())}
    whole = {code: scale for code, scale in values.items() if all(scale[letter] is not None for letter in AMINO_ACIDS)}
    table = np.array([[float(scale[letter]) for scale in whole.values()] for letter in AMINO_ACIDS])
    return table, tuple(f"aaindex_{code}" for code in whole)


def _codes(sequences: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the letter's number of every residue of all sequences, X being the last, and its sequence's number."""
    letters = np.zeros(256, np.int64)
    letters[list(ALPHABET.encode())] = np.arange(len(ALPHABET))
    codes = letters[np.frombuffer("".join(sequences).encode("ascii"), np.uint8)]
    return codes, np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])


def _counts(sequences: list[str]) -> NDArray[np.int64]:
    """Return ``(n, 20)``, the count of each amino acid."""
    codes, row = _codes(sequences)
    table = np.bincount(row * len(ALPHABET) + codes, minlength=len(sequences) * len(ALPHABET))
    return table.reshape(len(sequences), len(ALPHABET))[:, : len(AMINO_ACIDS)]


def _refuse_unknown(sequences: list[str], counts: NDArray[np.int64]) -> None:
    bad = np.flatnonzero(counts.sum(axis=1) == 0).tolist()
    if bad:
        raise SequenceError(
            [BadResidue(index, 0, sequences[index][0]) for index in bad], ["all residues are unknown (X)"] * len(bad)
        )


def _charge(sequences: list[str], counts: NDArray[np.int64], ph: NDArray[np.float64], pk: PK) -> NDArray[np.float64]:
    total = _protonated(ph, np.array([pk.amino_end_of.get(sequence[0], pk.amino_end) for sequence in sequences]))
    total -= 1 - _protonated(
        ph, np.array([pk.carboxyl_end_of.get(sequence[-1], pk.carboxyl_end) for sequence in sequences])
    )
    for letter, constant in pk.positive.items():
        total += counts[:, AMINO_ACIDS.index(letter)] * _protonated(ph, constant)
    for letter, constant in pk.negative.items():
        total -= counts[:, AMINO_ACIDS.index(letter)] * (1 - _protonated(ph, constant))
    return total


def _protonated(ph: NDArray[np.float64], pk: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return the fraction of a group that is protonated."""
    share: NDArray[np.float64] = 1 / (1 + 10 ** (ph - pk))
    return share
