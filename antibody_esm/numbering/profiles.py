"""Variable domains of sequences by alignment to the profiles of anarcism."""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from antibody_esm.numbering.continuation import continued
from antibody_esm.numbering.domain import Domain, fill

if TYPE_CHECKING:
    from anarcism import DomainResult, SequenceResult

SPECIES = ("human", "mouse")
"""Default species of profiles."""
NANOBODY_SPECIES = ("human", "mouse", "alpaca")
"""Species of profiles for nanobodies."""

_Chains = tuple[Literal["H", "K", "L", "A", "B", "G", "D"], ...]
_CHAINS: _Chains = ("H", "K", "L")
_RECEPTOR_CHAINS: _Chains = ("A", "B", "G", "D")
_FORMAT = 2
"""Raise it when `number` or `absent_reason` changes for a sequence, so that earlier cached results are not used."""
_HEAVY_END, _LIGHT_END = _ENDS = re.compile("WG.G"), re.compile("FG.G")
"""Beginnings of framework 4; a sequence with only one of them is probably of that chain."""
_ONE = 170
"""Most residues of a sequence that is probably a single domain."""
_SURE = 100
"""Fewest bits of a domain whose chain is certain; germline T-cell receptors reach at most 77."""
_LEFT = 40


def method(species: Sequence[str] = SPECIES) -> str:
    """Return the numbering program, its version, the format of results, and the species if not human and mouse."""
    others = "" if set(species) == set(SPECIES) else f", {' '.join(sorted(set(species)))}"
    return f"anarcism {version('anarcism')}, {_FORMAT}{others}"


def check_species(species: Sequence[str]) -> None:
    """Raise ValueError if there are no profiles of a species, or no species."""
    from anarcism import species as all_species

    unknown = set(species) - set(all_species())
    if unknown or not species:
        choices = ", ".join(sorted(all_species()))
        raise ValueError(f"unknown species {', '.join(sorted(unknown)) or '(none)'}; choose from {choices}")


def aligned(
    sequences: list[str], species: Sequence[str], workers: int, chain_of: Mapping[str, str] | None = None
) -> dict[str, tuple[Domain, ...]]:
    """Return the domains of each sequence; the likelier profiles come first, all profiles only in doubt.

    Parameters
    ----------
    chain_of
        Probable chain (H, K or L) of sequences; that of all others is guessed by the beginning of framework 4.
    """
    chain_of = chain_of or {}
    domains_of: dict[str, tuple[Domain, ...]] = {}
    guesses: list[tuple[_Chains, re.Pattern[str]]] = [(("H",), _HEAVY_END), (("K", "L"), _LIGHT_END)]
    for chains, end in guesses:
        likely = [
            sequence
            for sequence in sequences
            if len(sequence) <= _ONE
            and (
                chain_of[sequence] in chains
                if sequence in chain_of
                else [end] == [pattern for pattern in _ENDS if pattern.search(sequence)]
            )
        ]
        guessed = _domains_of(likely, species, workers, chains)
        domains_of |= {sequence: domains for sequence, domains in guessed.items() if _beyond_doubt(sequence, domains)}
    doubtful = [sequence for sequence in sequences if sequence not in domains_of]
    domains_of |= _domains_of(doubtful, species, workers, _CHAINS)
    return _without_receptors(_with_ends(domains_of, species), species, workers)


def agreeing(domains: Mapping[str, Domain], workers: int) -> set[str]:
    """Return the sequences whose domain has the same place and positions by the profile of its species and chain."""
    by_profile: dict[tuple[Literal["H", "K", "L"], str], list[str]] = {}
    for sequence, domain in domains.items():
        by_profile.setdefault((domain.chain, domain.species), []).append(sequence)
    agree = set()
    for (chain, species), sequences in by_profile.items():
        for sequence, theirs in _domains_of(sequences, (species,), workers, (chain,)).items():
            ours = domains[sequence]
            place = (ours.start, ours.positions)
            if [(other.start, other.positions) for other in theirs] == [place] and _bits(theirs[0]) >= _SURE:
                agree.add(sequence)
    return agree


def receptor_chain(sequence: str, species: Sequence[str]) -> str | None:
    """Return A, B, G or D for a T-cell receptor chain alpha to delta; None for other sequences."""
    (result,) = _results([sequence], species, 1, _RECEPTOR_CHAINS)
    best = max(result.domains, key=lambda domain: domain.bit_score, default=None)
    return None if best is None else best.chain_type


def _results(sequences: list[str], species: Sequence[str], workers: int, chains: _Chains) -> "list[SequenceResult]":
    import anarcism

    return anarcism.number_sequences(
        [("", sequence) for sequence in sequences],
        workers=workers,
        allowed_chains=list(chains),
        allowed_species=list(species),
        alternative_hit_count=0,
        assign_germline=True,
    )


def _domains_of(
    sequences: list[str], species: Sequence[str], workers: int, chains: _Chains
) -> dict[str, tuple[Domain, ...]]:
    """Return the domains of each sequence in order; domains that anarcism misplaced are aligned again.

    After a domain without framework 4, anarcism searches the rest of the sequence for framework 4. If the rest holds
    another domain, anarcism numbers that one instead, or none.
    """
    domains_of = {}
    for sequence, result in zip(sequences, _results(sequences, species, workers, chains), strict=True):
        domains = []
        for domain in result.domains:
            if _in_place(domain):
                domains.append(_domain(sequence, domain, 0))
                continue
            until = min(
                (other.query_start for other in result.domains if other.query_start >= domain.query_end),
                default=len(sequence),
            )
            piece = sequence[domain.query_start : min(until, domain.query_end + _LEFT)]
            (anew,) = _results([piece], species, 1, chains)
            domains += [_domain(sequence, part, domain.query_start) for part in anew.domains if _in_place(part)]
        domains_of[sequence] = tuple(sorted(domains, key=lambda domain: domain.start))
    return domains_of


def _in_place(domain: "DomainResult") -> bool:
    """Return True if the numbered residues are those that were aligned to the profile."""
    return bool(domain.numbering) and domain.start < domain.query_end and domain.query_start < domain.end


def _with_ends(domains_of: dict[str, tuple[Domain, ...]], species: Sequence[str]) -> dict[str, tuple[Domain, ...]]:
    """Return the domains, after continuing those that ended in CDR3; see `continuation`."""

    def align(sequence: str, chain: Literal["H", "K", "L"]) -> tuple[Domain, ...]:
        return _domains_of([sequence], species, 1, (chain,))[sequence]

    return {
        sequence: tuple(
            continued(sequence, domain, until, align)
            for domain, until in zip(
                domains,
                [domain.start for domain in domains[1:]] + [len(sequence)],
                strict=False,  # none: no domain
            )
        )
        for sequence, domains in domains_of.items()
    }


def _without_receptors(
    domains_of: dict[str, tuple[Domain, ...]], species: Sequence[str], workers: int
) -> dict[str, tuple[Domain, ...]]:
    """Return the domains without weak domains that align better to a T-cell receptor profile at the same place."""
    weak = [sequence for sequence, domains in domains_of.items() if any(_bits(domain) < _SURE for domain in domains)]
    for sequence, result in zip(weak, _results(weak, species, workers, _RECEPTOR_CHAINS), strict=True):
        domains_of[sequence] = tuple(
            domain
            for domain in domains_of[sequence]
            if not any(
                receptor.start < domain.end and domain.start < receptor.end and receptor.bit_score > _bits(domain)
                for receptor in result.domains
            )
        )
    return domains_of


def _beyond_doubt(sequence: str, domains: tuple[Domain, ...]) -> bool:
    """Return True if these are certainly all domains, although not all profiles were tried.

    The chain of a single domain with so many bits is certain, because profiles of other chains have no hit there. The
    rest of the sequence is too short for another domain: a residue has about 1.6 bits, and a domain at least 80.
    """
    return len(domains) == 1 and _bits(domains[0]) >= _SURE and len(sequence) - len(domains[0].residues) <= _LEFT


def _bits(domain: Domain) -> float:
    return domain.score or 0.0


def _domain(sequence: str, result: "DomainResult", offset: int) -> Domain:
    """Return a domain of a sequence whose first `offset` residues were not aligned."""
    first, end, chain = result.start + offset, result.end + offset, result.chain_type
    unknown = fill(sequence, first, result.numbering[0].position, chain)
    germline = result.germline
    return Domain(
        chain=chain,  # type: ignore[arg-type]  # of those that were allowed
        start=first - len(unknown),
        residues=sequence[first - len(unknown) : end],
        positions=(*unknown, *(f"{residue.position}{residue.insertion_code}" for residue in result.numbering)),
        filled=len(unknown),
        score=round(result.bit_score, 3),
        species=germline.species if germline else result.species,
        v_gene=germline.v_gene if germline else None,
        v_identity=germline.v_identity if germline else None,
        j_gene=germline.j_gene if germline else None,
        j_identity=germline.j_identity if germline else None,
    )
