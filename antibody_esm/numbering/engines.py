"""Numbering by two programs, with the rules by which one of them decides.

immunum numbers every chain. Its domain is taken if it is beyond doubt (`consensus`), or if the doubt is slight and
anarcism, by the profile of the same species and chain, has the same positions. Else the domains of anarcism
(`profiles`) are taken. If the other program has another loop, the domain names it: as a remark if one of the two has a
problem, and as a problem if neither has or if they count different domains.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from antibody_esm.choices import Engines
from antibody_esm.numbering import consensus, profiles
from antibody_esm.numbering.domain import Domain
from antibody_esm.numbering.genes import COMPARED, nearest_genes
from antibody_esm.numbering.profiles import SPECIES
from antibody_esm.numbering.regions import CDRS

_Domains = tuple[Domain, ...]
_FORMAT = 1
"""Raise it when domains by two programs change, so that earlier cached results are not used."""
_AT_ONCE = 128


def method(species: Sequence[str] = SPECIES, engines: Engines = "auto") -> str:
    """Return programs and versions, the format of results, and the species if they are not human and mouse."""
    alone = profiles.method(species)
    both = ", all compared" if engines == "both" else ""
    return alone if engines == "anarcism" else f"{consensus.name()} ({_FORMAT}{both}) and {alone}"


def engines_of(text: str) -> Engines:
    """Return the choice of programs by which domains were numbered, from the text of `method`."""
    return "anarcism" if text.startswith("anarcism") else "auto"


def numbered(sequences: list[str], species: Sequence[str], workers: int, engines: Engines) -> dict[str, _Domains]:
    """Return the domains of each sequence."""
    if engines == "anarcism" or not set(species) <= set(COMPARED):
        return profiles.aligned(sequences, species, workers)
    results: dict[str, _Domains] = {}
    pending: list[Future[dict[str, _Domains]]] = []
    with ThreadPoolExecutor(1, "anarcism") as executor:  # anarcism runs beside immunum, in threads without Python
        submit = _at_once if workers == 1 else executor.submit
        for start in range(0, len(sequences), _AT_ONCE):
            every = {sequence: consensus.aligned(sequence, species) for sequence in sequences[start : start + _AT_ONCE]}
            results |= {sequence: alignment.domains for sequence, alignment in every.items()}
            doubtful = {sequence: alignment for sequence, alignment in every.items() if alignment.doubt}
            asked = every if engines == "both" else doubtful
            pending.append(submit(_second, asked, species, workers, engines))
        for future in pending:
            results |= future.result()
    return results


def _second(
    every: dict[str, consensus.Alignment], species: Sequence[str], workers: int, engines: Engines
) -> dict[str, _Domains]:
    """Return the domains of sequences that anarcism numbers too."""
    slight = {sequence: alignment.domains[0] for sequence, alignment in every.items() if alignment.slight}
    confirmed = profiles.agreeing(slight, workers)
    sure = {sequence for sequence, alignment in every.items() if not alignment.doubt} | confirmed
    asked = [sequence for sequence in every if engines == "both" or sequence not in sure]
    results = {sequence: every[sequence].domains for sequence in confirmed}
    chain_of = {sequence: every[sequence].domains[0].chain for sequence in asked if len(every[sequence].domains) == 1}
    for sequence, domains in profiles.aligned(asked, species, workers, chain_of).items():
        ours, theirs = every[sequence].domains, tuple(_with_genes(domain, species) for domain in domains)
        results[sequence] = _decided(ours, theirs) if sequence in sure else _decided(theirs, ours)
    return results


def _decided(domains: _Domains, others: _Domains) -> _Domains:
    """Return domains with their differences from those of the other program."""
    if len(domains) != len(others) and others:
        number = f"{len(others)} domain{'s' * (len(others) != 1)}"
        return tuple(replace(domain, differing=number, undecided=True) for domain in domains)
    if not others:
        return domains
    return tuple(_compared(domain, other) for domain, other in zip(domains, others, strict=True))


def _compared(domain: Domain, other: Domain) -> Domain:
    kind = [f"chain {other.chain}"] if other.chain != domain.chain else []
    loops = [f"{name} {other.region(name)}" for name in CDRS if other.region(name) != domain.region(name)]
    differing = ", ".join(kind + loops)
    return replace(
        domain,
        differing=differing,
        undecided=bool(differing) and not domain.problems and not other.problems,
    )


def _with_genes(domain: Domain, species: Sequence[str]) -> Domain:
    """Return a domain of anarcism with the germline genes by its final positions, as domains of immunum have them."""
    genes = nearest_genes(domain.chain, domain.positions, domain.residues, species)
    if genes is None:
        return domain
    return replace(
        domain,
        species=genes.species,
        v_gene=genes.v_gene,
        v_identity=genes.v_identity,
        j_gene=genes.j_gene,
        j_identity=genes.j_identity,
    )


def _at_once(function: Callable[..., dict[str, _Domains]], *arguments: object) -> Future[dict[str, _Domains]]:
    """Return the result of a function as an executor does, without another thread."""
    future = Future[dict[str, _Domains]]()
    future.set_result(function(*arguments))
    return future
