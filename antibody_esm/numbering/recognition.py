"""Variable domains of sequences, with a cache."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, overload

from antibody_esm.choices import Engines, OtherScheme, Scheme
from antibody_esm.errors import ClusterError
from antibody_esm.numbering.cache import Cache
from antibody_esm.numbering.domain import Domain, best
from antibody_esm.numbering.engines import method, numbered
from antibody_esm.numbering.profiles import SPECIES, check_species, receptor_chain
from antibody_esm.numbering.schemes import SchemeDomain, in_scheme
from antibody_esm.progress import step
from antibody_esm.sequences import normalise
from antibody_esm.threads import in_any_order, runs_elsewhere, usable_threads

LONGEST = 10_000
"""Most residues of a sequence that is numbered."""

NO_DOMAIN = "no antibody variable domain is recognised"
_BATCH = 1024
_FEW = 50
"""Sequences that are numbered in less than a second; more are announced."""
_SENT = 256
"""Sequences of a batch in another process; fewer are numbered in this one."""
_COMPARED = ("alpaca", "cow", "human", "mouse", "pig", "rabbit", "rat")
"""Species that `closest_species` compares; profiles of rhesus have a fault."""
_RECEPTORS = {"A": "alpha", "B": "beta", "G": "gamma", "D": "delta"}


@overload
def number(
    sequences: Iterable[str],
    *,
    species: Sequence[str] = ...,
    workers: int | None = ...,
    engines: Engines = ...,
    scheme: Literal["imgt"] = ...,
) -> list[tuple[Domain, ...]]: ...


@overload
def number(
    sequences: Iterable[str],
    *,
    species: Sequence[str] = ...,
    workers: int | None = ...,
    engines: Engines = ...,
    scheme: OtherScheme,
) -> list[tuple[SchemeDomain, ...]]: ...


def number(
    sequences: Iterable[str],
    *,
    species: Sequence[str] = SPECIES,
    workers: int | None = None,
    engines: Engines = "auto",
    scheme: Scheme = "imgt",
) -> list[tuple[Domain, ...]] | list[tuple[SchemeDomain, ...]]:
    """Return the variable domains of each sequence, in the order of the sequence; other proteins have none.

    Sequences of more than 10,000 residues are not numbered and have no domain. Chains of T-cell receptors have no
    domain; `absent_reason` names them.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences; they may contain constant domains, leader peptides and linkers.
    species
        Species of profiles and germline genes: any of alpaca, cow, human, mouse, pig, rabbit, rat.
    workers
        Number of threads; None is one per usable core, or the backend of `joblib.parallel_config`, such as a Dask
        cluster, for more than a few sequences. It changes no result.
    engines
        Numbering programs. ``auto``: immunum, and anarcism for chains that immunum leaves in doubt. ``both``: the same
        domains, of which each names the loops in which the programs differ; twenty times as slow. ``anarcism``:
        anarcism alone.
    scheme
        ``imgt``, or ``kabat``, ``chothia``, ``martin`` or ``aho``, whose result holds a `SchemeDomain` for each domain.

    Raises
    ------
    SequenceError
        If a sequence is not made of amino acids and X; it is raised before any computation.
    ValueError
        If there is no such species, no such choice of programs or no such scheme.
    ClusterError
        If a cluster is lost, or its workers have other numbering programs.
    """
    check_species(species)
    for name, value, choices in (("engines", engines, get_args(Engines)), ("scheme", scheme, get_args(Scheme))):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    normal = normalise(sequences)
    unique = list(dict.fromkeys(normal))
    with closing(Cache(_rules(species, engines), _plain, _domains)) as cache:
        domains_of = cache.get(unique)
        domains_of |= {sequence: () for sequence in unique if len(sequence) > LONGEST}
        absent = [sequence for sequence in unique if sequence not in domains_of]
        with step("numbering", len(absent), "sequences", announced=len(absent) > _FEW) as now:
            for batch in _batches(absent, species, workers, engines):
                cache.put(batch)
                domains_of |= batch
                now.update(len(batch))
    if scheme == "imgt":
        return [domains_of[sequence] for sequence in normal]
    renumbered = {sequence: tuple(in_scheme(domain, scheme) for domain in domains_of[sequence]) for sequence in unique}
    return [renumbered[sequence] for sequence in normal]


def absent_reason(sequence: str, *, species: Sequence[str] = SPECIES) -> str:
    """Return the reason why `number` returns no domain of a sequence, for messages; ``""`` if it returns any.

    Raises
    ------
    SequenceError
        If the sequence is not made of amino acids and X.
    ValueError
        If there is no such species.

    Examples
    --------
    >>> absent_reason("MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG")
    'no antibody variable domain is recognised'
    """
    (domains,) = number([sequence], species=species)
    if domains:
        return ""
    (normal,) = normalise([sequence])
    if len(normal) > LONGEST:
        return f"too long to be an antibody: {len(normal):,} residues"
    with closing(Cache(_rules(species, "auto", "reason"), str, _text)) as cache:
        reasons = cache.get([normal])
        if normal not in reasons:
            reasons[normal] = _reason(normal, species)
            cache.put(reasons)
    return reasons[normal]


def closest_species(sequence: str) -> str | None:
    """Return the species, among seven, of the nearest germline V gene; None if no domain is recognised.

    It is cached, and meant for sequences that failed: a rabbit chain begins at position 3 by human and mouse profiles,
    and is complete with ``species=("rabbit",)``. Heavy chains of rats are not recognised.

    Raises
    ------
    SequenceError
        If the sequence is not made of amino acids and X.
    """
    (domains,) = number([sequence], species=_COMPARED)
    nearest = best(domains)
    return None if nearest is None else nearest.species


def _reason(sequence: str, species: Sequence[str]) -> str:
    receptor = receptor_chain(sequence, ("human", "mouse"))
    if receptor is not None:
        return f"a T-cell receptor {_RECEPTORS[receptor]} chain"
    other = closest_species(sequence)
    if other is None or other in species:
        return NO_DOMAIN
    ours = " or ".join(sorted(set(species)))
    return f"no {ours} antibody variable domain is recognised; it looks like {other}: give species=({other!r},)"


def _batches(
    sequences: list[str], species: Sequence[str], workers: int | None, engines: Engines
) -> Iterator[dict[str, tuple[Domain, ...]]]:
    """Yield the domains of distinct sequences in batches, in any order."""
    if workers is None and len(sequences) > _SENT and runs_elsewhere():
        remote = _Remote(tuple(species), engines, method(species, engines))
        yield from in_any_order(remote, (sequences[i : i + _SENT] for i in range(0, len(sequences), _SENT)))
        return
    threads = workers or usable_threads()
    for start in range(0, len(sequences), _BATCH):
        yield numbered(sequences[start : start + _BATCH], species, threads, engines)


@dataclass(frozen=True)
class _Remote:
    """Numbering in another process, by the same programs."""

    species: tuple[str, ...]
    engines: Engines
    method: str

    def __call__(self, sequences: list[str]) -> dict[str, tuple[Domain, ...]]:
        """Return the domains of each sequence, by one thread."""
        here = method(self.species, self.engines)
        if here != self.method:
            raise ClusterError(f"a worker numbers by {here}, but the run is by {self.method}")
        return numbered(sequences, self.species, 1, self.engines)


def _rules(species: Sequence[str], engines: Engines, *kind: str) -> str:
    return json.dumps([method(species, engines), sorted(set(species)), *kind])


def _plain(domains: tuple[Domain, ...]) -> list[dict[str, Any]]:
    return [{field.name: getattr(domain, field.name) for field in fields(Domain)} for domain in domains]


def _domains(plain: Any) -> tuple[Domain, ...]:
    return tuple(Domain(**{**values, "positions": tuple(values["positions"])}) for values in plain)


def _text(plain: Any) -> str:
    if not isinstance(plain, str):
        raise TypeError(plain)
    return plain
