"""Sequence identity, and clusters of sequences by identity.

Identity is ``1 - d / n``, with ``d`` the Levenshtein distance (substitutions, insertions and deletions of one residue
each) and ``n`` the length of the shorter sequence; negative values are set to 0. Both sequences are compared from end
to end, so identity implies coverage: at 0.9 the longer sequence has at most a tenth more residues. X is a letter like
any other.

Antibodies of two chains have two identities. They are clonally related if their heavy chains are similar, so `cluster`
and `similar_pairs` take heavy chains (`compared`, `Dataset.identity_sequences`). `identities` and `nearest` compare
both chains of pairs: ``d`` and ``n`` are then sums over the heavy and the light chain.

No pair at or above a threshold is missed. Pairs are skipped only if they cannot reach it: an edit changes at most two
of a sequence's 2-mers, so sequences that share too few 2-mers need no alignment (the q-gram lemma,
doi:10.1016/0304-3975(92)90143-4). One matrix product counts the shared 2-mers of two blocks of sequences.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.sequences import ModelText, any_pair, chains_of

_LETTERS = "ACDEFGHIKLMNPQRSTVWYX"
_Q = 2
_MOST_OFTEN = 3
"""Largest number of occurrences of a 2-mer in a sequence that is counted."""
_FEATURES = 576
"""Number of features (2-mer and occurrence) that are compared: those that vary most. Any choice misses no pair."""
_ROWS, _COLUMNS = 2048, 8192
"""Sizes of two blocks of sequences that are compared at once."""
_ALIGNED_AT_ONCE = 2**18


class SimilarPairs(NamedTuple):
    """Pairs of sequences whose identity is at or above a threshold."""

    query: NDArray[np.int64]
    """``(n,)``, row of the query."""
    target: NDArray[np.int64]
    """``(n,)``, row of the target."""
    identity: NDArray[np.float64]
    """``(n,)``, 0 to 1."""


def compared(antibody: str | tuple[str, str]) -> str:
    """Return the sequence that identity compares: the heavy chain of a pair, else the whole sequence.

    Examples
    --------
    >>> compared("EVQLVESGGG|DIQMTQSPSS"), compared("EVQLVESGGG")
    ('EVQLVESGGG', 'EVQLVESGGG')
    """
    return antibody[0] if isinstance(antibody, tuple) else ModelText.of(antibody).chains[0]


def identity(sequence: str, other: str) -> float:
    """Return the identity of two sequences, 0 to 1.

    Examples
    --------
    >>> identity("EVQLVESGGG", "EVQLVQSGGG"), identity("EVQLVESGGG", "EVQLVESGG")
    (0.9, 0.8888888888888888)
    """
    from rapidfuzz.distance import Levenshtein

    return float(_identity(np.array(Levenshtein.distance(sequence, other)), np.array(min(len(sequence), len(other)))))


def similar_pairs(queries: Sequence[str], targets: Sequence[str], threshold: float = 0.9) -> SimilarPairs:
    """Return every pair of a query and a target whose identity is at or above a threshold.

    Parameters
    ----------
    queries, targets
        Sequences in normal form.
    threshold
        Identity, above 0 and up to 1.

    Returns
    -------
    Pairs in the order of the queries, then of the targets.

    Examples
    --------
    >>> similar_pairs(["EVQLVESGGG"], ["EVQLVQSGGG", "DIQMTQSPSS", "EVQLVESGGG"]).target.tolist()
    [0, 2]
    """
    queries, targets = list(queries), list(targets)
    parts = [
        _aligned(queries, rows, targets, columns, threshold)
        for rows, columns in _candidates(_Profiles(queries, targets), threshold)
    ]
    query, target, same = (np.concatenate(part) for part in zip(_NO_PAIRS, *parts, strict=True))
    order = np.lexsort((target, query))
    return SimilarPairs(query[order].astype(np.int64), target[order].astype(np.int64), same[order])


def has_similar(
    queries: Sequence[str],
    targets: Sequence[str],
    threshold: float = 0.9,
    *,
    parts: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> NDArray[np.bool_]:
    """Return True for each query with a target at or above a threshold, ``(n_queries,)``.

    Parameters
    ----------
    queries, targets
        Sequences in normal form.
    threshold
        Identity, above 0 and up to 1.
    parts
        Part of each query and of each target. Sequences of the same part, such as one fold, are not compared.

    Examples
    --------
    >>> has_similar(["EVQLVESGGG", "DIQMTQSPSS"], ["EVQLVQSGGG"]).tolist()
    [True, False]
    """
    queries, targets = list(queries), list(targets)
    reached = np.zeros(len(queries), np.bool_)
    for rows, columns in _candidates(_Profiles(queries, targets), threshold):
        if parts is not None:
            apart = parts[0][rows] != parts[1][columns]
            rows, columns = rows[apart], columns[apart]
        # First one candidate of each query: among clones it is nearly always similar, and no other needs alignment.
        first = np.full(len(queries), -1)
        first[rows[::-1]] = np.arange(len(rows))[::-1]
        chunks = [first[first >= 0]]
        chunks += [np.arange(i, min(i + _ALIGNED_AT_ONCE, len(rows))) for i in range(0, len(rows), _ALIGNED_AT_ONCE)]
        for chunk in chunks:
            left = chunk[~reached[rows[chunk]]]
            reached[_aligned(queries, rows[left], targets, columns[left], threshold).query] = True
    return reached


def cluster(sequences: Sequence[str], threshold: float = 0.9) -> NDArray[np.int64]:
    """Return the cluster of each sequence.

    Clusters are connected components: two sequences at or above the threshold are in one cluster, and so are sequences
    that a chain of such pairs connects.

    Parameters
    ----------
    sequences
        ``n`` sequences in normal form.
    threshold
        Identity, above 0 and up to 1.

    Returns
    -------
    Numbers ``(n,)`` from 0, in the order in which clusters first occur.

    Examples
    --------
    >>> cluster(["EVQLVESGGG", "DIQMTQSPSS", "EVQLVQSGGG"]).tolist()
    [0, 1, 0]
    """
    sequences = list(sequences)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    unique = list(dict.fromkeys(sequences))
    component = np.arange(len(unique))
    for rows, columns in _candidates(_Profiles(unique), threshold):
        for start in range(0, len(rows), _ALIGNED_AT_ONCE):
            left, right = rows[start : start + _ALIGNED_AT_ONCE], columns[start : start + _ALIGNED_AT_ONCE]
            apart = component[left] != component[right]  # pairs of one component need no alignment
            near = _aligned(unique, left[apart], unique, right[apart], threshold)
            if len(near.query):
                joined = component[near.query], component[near.target]
                graph = coo_array((np.ones(len(near.query), np.int8), joined), shape=(len(unique), len(unique)))
                component = connected_components(graph, directed=False)[1][component]
    place = {sequence: i for i, sequence in enumerate(unique)}
    _, first, number = np.unique(
        component[[place[sequence] for sequence in sequences]], return_index=True, return_inverse=True
    )
    cluster_of: NDArray[np.int64] = np.argsort(np.argsort(first))[number]
    return cluster_of


def nearest(queries: Sequence[str], targets: Sequence[str]) -> SimilarPairs:
    """Return, for each query, the most similar target (the first of equals), and their identity.

    Examples
    --------
    >>> nearest(["EVQLVESGGG"], ["DIQMTQSPSS", "EVQLVQSGGA"])
    SimilarPairs(query=array([0]), target=array([1]), identity=array([0.8]))
    """
    best, value = np.empty(len(queries), np.int64), np.empty(len(queries))
    for rows, same in identities(queries, targets):
        best[rows], value[rows] = same.argmax(axis=1), same.max(axis=1)
    return SimilarPairs(np.arange(len(queries)), best, value)


def identities(queries: Sequence[str], targets: Sequence[str]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield batches of queries with their identity to every target, ``(m, n_targets)``; every pair is aligned.

    Parameters
    ----------
    queries, targets
        Sequences in normal form; or texts of pairs. The identity of pairs is 1 - (d of the heavy chains + d of the
        light chains) / (n of the heavy chains + n of the light chains).

    Raises
    ------
    SequenceError
        If pairs and single chains are mixed.

    Examples
    --------
    >>> [same.round(2).tolist() for _, same in identities(["EVQLVESGGG"], ["DIQMTQSPSS", "EVQLVQSGGA"])]
    [[[0.2, 0.8]]]
    >>> [same.tolist() for _, same in identities(["EVQLV|DIQMT"], ["EVQLV|DIQMT", "EVQLV|SYELT"])]
    [[[1.0, 0.6]]]
    """
    if not len(targets):
        raise ValueError("there are no targets to compare with")
    query_chains, target_chains = _by_chain(list(queries), list(targets))
    for start in range(0, len(queries), 256):
        block = slice(start, start + 256)
        parts = [_distances(part[block], every) for part, every in zip(query_chains, target_chains, strict=True)]
        distance, shorter = (np.sum(part, axis=0) for part in zip(*parts, strict=True))
        yield block, _identity(distance, shorter)


def _by_chain(queries: list[str], targets: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the sequences as the only chain of each, or the heavy and the light chains of pairs."""
    if not any_pair((*queries, *targets)):
        return [queries], [targets]
    heavy, light = chains_of([*queries, *targets])
    n = len(queries)
    return [heavy[:n], light[:n]], [heavy[n:], light[n:]]


def _distances(queries: list[str], targets: list[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the edit distance of each query to each target, and the length of the shorter one, ``(m, n)``."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    shorter = np.minimum.outer(list(map(len, queries)), list(map(len, targets)))
    return cdist(queries, targets, scorer=Levenshtein.distance, dtype=np.int32, workers=-1), shorter


_NO_PAIRS = SimilarPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def _identity(distance: NDArray[Any], shorter: NDArray[np.int64]) -> NDArray[np.float64]:
    value: NDArray[np.float64] = np.clip(1 - distance / np.maximum(shorter, 1), 0, 1)
    return value


def _most_edits(length: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """Return the most edits between two sequences, the shorter of this length, at or above the threshold."""
    if not 0 < threshold <= 1:
        raise ValueError(f"an identity threshold must be above 0 and at most 1, got {threshold}")
    most: NDArray[np.int64] = np.floor((1 - threshold) * length + 1e-9).astype(np.int64)
    return most


def _aligned(
    queries: Sequence[str],
    rows: NDArray[np.int64],
    targets: Sequence[str],
    columns: NDArray[np.int64],
    threshold: float,
) -> SimilarPairs:
    """Return the candidate pairs that are at or above the threshold."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cpdist

    if not len(rows):
        return _NO_PAIRS
    first, other = [queries[i] for i in rows.tolist()], [targets[j] for j in columns.tolist()]
    shorter = np.minimum([len(a) for a in first], [len(b) for b in other])
    allowed = _most_edits(shorter, threshold)
    distance = cpdist(
        first, other, scorer=Levenshtein.distance, score_cutoff=int(allowed.max()), dtype=np.int32, workers=-1
    )
    near = distance <= allowed
    return SimilarPairs(rows[near], columns[near], _identity(distance[near], shorter[near]))


class _Profiles:
    """Occurrences of 2-mers in sequences sorted by length, as a table of 0 and 1."""

    def __init__(self, queries: Sequence[str], targets: Sequence[str] | None = None) -> None:
        """Compare queries with targets; without targets, compare every two sequences once."""
        self.within = targets is None
        self.query = _Sorted(queries)
        self.target = self.query if targets is None else _Sorted(targets)
        share = (self.query.share + self.target.share) / 2
        selected = np.argsort(-share * (1 - share), kind="stable")[:_FEATURES]
        for profiles in {id(profiles): profiles for profiles in (self.query, self.target)}.values():
            profiles.keep(np.sort(selected))


class _Sorted:
    def __init__(self, sequences: Sequence[str]) -> None:
        lengths = np.array([len(sequence) for sequence in sequences], np.int64)
        self.order = np.argsort(lengths, kind="stable")
        self.lengths = lengths[self.order]
        self.counts = _counts([sequences[i] for i in self.order.tolist()])
        self.share = self.counts.sum(axis=0) / max(1, len(sequences))

    def keep(self, features: NDArray[np.int64]) -> None:
        self.counts = np.ascontiguousarray(self.counts[:, features])
        self.totals = self.counts.sum(axis=1, dtype=np.float32)


def _counts(sequences: list[str]) -> NDArray[np.uint8]:
    """Return ``(n, features)``: 1 if a sequence holds a 2-mer at least once, twice, and so on; else 0."""
    letters = np.zeros(256, np.int64)
    letters[list(_LETTERS.encode())] = np.arange(len(_LETTERS))
    kinds = len(_LETTERS) ** _Q
    table = np.zeros((len(sequences), kinds * _MOST_OFTEN), np.uint8)
    for start in range(0, len(sequences), 4096):
        part = sequences[start : start + 4096]
        codes = letters[np.frombuffer("".join(part).encode("ascii"), np.uint8)]
        row = np.repeat(np.arange(len(part)), [len(sequence) for sequence in part])
        inside = row[1:] == row[:-1]
        kind = (codes[:-1] * len(_LETTERS) + codes[1:])[inside]
        occurrences = np.bincount(row[1:][inside] * kinds + kind, minlength=len(part) * kinds).reshape(len(part), kinds)
        for often in range(_MOST_OFTEN):
            table[start : start + len(part), often * kinds : (often + 1) * kinds] = occurrences > often
    return table


def _candidates(profiles: _Profiles, threshold: float) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield rows of queries and of targets that may be at or above the threshold, block by block."""
    query, target = profiles.query, profiles.target
    for i in range(0, len(query.order), _ROWS):
        rows = slice(i, i + _ROWS)
        counts = query.counts[rows].astype(np.float32)
        shortest, longest = int(query.lengths[rows][0]), int(query.lengths[rows][-1])
        for j in range(i if profiles.within else 0, len(target.order), _COLUMNS):
            columns = slice(j, j + _COLUMNS)
            lengths = target.lengths[columns]
            if int(lengths[0]) - longest > _most_edits(query.lengths[rows][-1:], threshold)[0]:
                break
            if shortest - int(lengths[-1]) > _most_edits(lengths[-1:], threshold)[0]:
                continue
            shorter = np.minimum(lengths, longest)
            needed = target.totals[columns] - _Q * _most_edits(shorter, threshold).astype(np.float32)
            shared = counts @ target.counts[columns].astype(np.float32).T
            row, column = np.nonzero(shared >= needed)
            allowed = _Q * _most_edits(np.minimum(query.lengths[rows][row], lengths[column]), threshold)
            possible = shared[row, column] >= query.totals[rows][row] - allowed
            if profiles.within:
                possible &= row + i < column + j
            yield query.order[row[possible] + i], target.order[column[possible] + j]


def __getattr__(name: str) -> Any:
    """Return the type under its earlier name, for one release."""
    if name == "Pairs":
        warnings.warn("data.identity.Pairs is SimilarPairs now", DeprecationWarning, stacklevel=2)
        return SimilarPairs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
