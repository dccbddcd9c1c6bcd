"""The 914 rows that this package's predecessor trained on, reproduced from the DNA by its rules.

The rules are wrong, and repeated only to reproduce the rows: they start a protein at any ATG, drop an antibody for a
stop codon after its variable domain, and count Y, which means two or more ligands, as seven. The predecessor numbered
chains with another program, which places the ends of some domains differently: four of the 914 heavy chains differ.
"""

import re

from antibody_esm.data.boughter_records import MANY, STUDIES, provenance, read_records
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.translation import translate
from antibody_esm.numbering import CDRS, Domain, best, number

_MOTIFS = re.compile(
    "EVQ|QVQ|QVL|QVR|QVK|EVKM|EQLV|EIVLT|DIVMT|DIQMT|QSVLT|QAVLT|QIVLT|EIVMT|DITMT|QVV|EVLV|EVTV",
)
_LOOKED_AT = 150
"""Residues by which the predecessor judged a translation."""


def predecessor() -> Dataset:
    """Return the 914 rows; see `antibody_esm.data.boughter.boughter`."""
    records, files = read_records()
    proteins = [(_as_predecessor(record.heavy), _as_predecessor(record.light)) for record in records]
    dropped = {
        record.id: "translation has a stop, too many X, or a wrong length"
        for record, pair in zip(records, proteins, strict=True)
        if not all(map(_passes, pair))
    }
    counts = {"antibodies": len(records), "translated": len(records) - len(dropped)}
    left = [(record, pair) for record, pair in zip(records, proteins, strict=True) if record.id not in dropped]
    heavy, light = (number([_before_stop(pair[chain]) for _, pair in left]) for chain in (0, 1))
    kept = []
    for (record, _), *chains in zip(left, heavy, light, strict=True):
        first, second = map(best, chains)  # the predecessor did not check the chain
        if first is None or second is None or _lacks_loops(first) or _lacks_loops(second):
            dropped[record.id] = "a loop is missing, or holds X"
        else:
            kept.append(
                (record, first, second, {"Y": 7, "N": 0}[record.label] if record.label in "YN" else int(record.label))
            )
    counts["annotated"] = len(kept)
    rows = [row for row in kept if not 0 < row[3] < MANY]
    dropped |= {record.id: f"1 to {MANY - 1} ligands" for record, *_, count in kept if 0 < count < MANY}
    counts |= {"labelled 0": sum(not count for *_, count in rows), "labelled 1": sum(bool(count) for *_, count in rows)}
    return Dataset(
        ids=[record.id for record, *_ in rows],
        heavy=[domain.residues for _, domain, *_ in rows],
        light=[other.residues for _, _, other, _ in rows],
        label=[float(count >= MANY) for *_, count in rows],
        groups=[STUDIES[record.study].family for record, *_ in rows],
        groups_name="study",
        provenance=provenance(
            "0: no ligand or N, 1: four or more ligands or Y. N can be one ligand, Y two or three: of 514 rows that "
            "rest on N or Y, 167 are known to break the rule, and 73 cannot be checked",
            files,
            counts,
            dropped,
        ),
    )


def _as_predecessor(dna: str) -> str:
    """Return the predecessor's translation: of the first frame if it passes, else from the best start codon."""
    whole = translate(dna)
    judged = whole[:_LOOKED_AT]
    if judged and _share_known(judged) >= 0.85 and "*" not in judged:
        return whole
    best_protein, most = None, -1
    for place in (match.start() for match in re.finditer("(?=ATG)", dna[:302])):
        protein = translate(dna[place:])
        if len(protein) < 100:
            continue
        judged = protein[:_LOOKED_AT]
        points = 1000 - 100 * judged.count("X") - 200 * judged.count("*")
        points += 50 * protein.startswith(("MGW", "MGA")) - 500 * (not _MOTIFS.search(protein[:120]))
        if points > most:
            best_protein, most = protein, points
    return whole if best_protein is None else best_protein


def _passes(protein: str) -> bool:
    judged = protein[:_LOOKED_AT]
    return 95 <= len(protein) <= 500 and _share_known(judged) >= 0.8 and "*" not in judged


def _share_known(protein: str) -> float:
    return sum(residue not in "X*" for residue in protein) / len(protein)


def _before_stop(protein: str) -> str:
    """Return a protein that can be numbered: stops, which follow the variable domain, become X."""
    return protein.replace("*", "X")


def _lacks_loops(domain: Domain) -> bool:
    loops = [domain.region(name) for name in CDRS]
    if domain.numbers[-1] < 118:  # the end of the third loop is not defined
        loops[2] = loops[2].rstrip("X")
    return not all(loops) or any("X" in loop for loop in loops)
