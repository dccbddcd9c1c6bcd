"""The same three antibodies in a file of each layout of the field."""

import json
from pathlib import Path

import openpyxl
import pandas as pd

from chains import HEAVY, LIGHT, mutants

LEADER, CONSTANT = "MKHLWFFLLLVAAPRWVLS", "ASTKGPSVFPLAPSSKSTSGGTAALGCL"
VH, VL = mutants(HEAVY, 40, 6), mutants(LIGHT, 40, 6)
REGIONS = ("fwr1", "cdr1", "fwr2", "cdr2", "fwr3", "cdr3", "fwr4")
ENDS = (25, 33, 50, 58, 95, 110, 121), (26, 32, 49, 52, 87, 98, 107)
DNA = "GAGGTGCAGCTGGTGGAGAGCGGCGGCGGCCTGGTGCAGCCC"


SINGLE = ("airr.tsv", "airr_alignment.tsv", "imgt.txt", "oas.csv", "biotrainer.fasta")
FILES = (
    *SINGLE,
    *("10x.csv", "thera.csv", "flab.csv", "plain.csv", "names.csv", "semicolon.csv", "plain.xlsx", "oas_paired.csv"),
)


def contig(barcode: str, number: int, kind: str, chain: str, **other: object) -> dict[str, object]:
    """Return a row of contig annotations of 10x."""
    ends = ENDS[0] if kind == "IGH" else ENDS[1]
    parts = {name: chain[start:end] for name, start, end in zip(REGIONS, (0, *ends), ends, strict=False)}
    truths = dict.fromkeys(("is_cell", "high_confidence", "full_length", "productive"), "true")
    row = {"barcode": barcode, "contig_id": f"{barcode}_contig_{number}", "chain": kind, **truths, **parts}
    return row | {"v_gene": "V", "c_gene": "IGHM" if kind == "IGH" else "IGKC", "umis": 7, **other}


def airr(chains: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sequence_id": [f"m{i}" for i in range(len(chains))],
            "sequence": DNA,
            "sequence_aa": [f"{LEADER}{chain}{CONSTANT}*RR" for chain in chains],
            "productive": "T",
            "v_call": "IGHV3-66*01",
            "c_call": "IGHG1",
        }
    )


def oas(path: Path, frame: pd.DataFrame) -> Path:
    values = json.dumps({"Run": "R1", "Species": "human", "Isotype": "IGHM", "Chain": "Heavy"}).replace('"', '""')
    path.write_text(f'"{values}"\n{frame.to_csv(index=False)}')
    return path


def written(folder: Path) -> dict[str, Path]:
    """Return a file of the same three antibodies in each layout."""
    ids, three = [f"m{i}" for i in range(3)], (VH[:3], VL[:3])
    frames = {
        "airr.tsv": airr(three[0]),
        "airr_alignment.tsv": airr(three[0])
        .drop(columns="sequence_aa")
        .assign(sequence_alignment_aa=[f"{chain[:10]}.{chain[10:30]}..-{chain[30:]}" for chain in three[0]]),
        "10x.csv": pd.DataFrame(
            [
                contig(name, number, kind, chain)
                for name, heavy, light in zip(ids, *three, strict=True)
                for number, kind, chain in ((1, "IGH", heavy), (2, "IGK", light))
            ]
        ),
        "thera.csv": pd.DataFrame(
            {"Therapeutic": ids, "CH1 Isotype": "G1", "HeavySequence": three[0], "LightSequence": three[1]}
        ),
        "imgt.txt": pd.DataFrame(
            {
                "Sequence number": range(1, 4),
                "Sequence ID": ids,
                "V-DOMAIN Functionality": "productive",
                "V-D-J-REGION": [f"{chain[:9]}.{chain[9:]}" for chain in three[0]],
                "V-J-REGION": "",
                "V-REGION": [chain[:98] for chain in three[0]],
            }
        ),
        "flab.csv": pd.DataFrame({"id": ids, "heavy": three[0], "light": three[1], "fitness": [1.5, 2.5, 3.5]}),
        "plain.csv": pd.DataFrame({"Antibody Name": ids, "VH": three[0], "VL": three[1], "HIC": [1, 2, 3]}),
        "names.csv": pd.DataFrame({"mAb": ids, "vh_protein_sequence": three[0], "vl_protein_sequence": three[1]}),
    }
    paths = {name: folder / name for name in frames}
    for name, frame in frames.items():
        separator = "," if name.endswith("csv") else "\t"
        paths[name].write_text(frame.to_csv(index=False, sep=separator))
    paths["semicolon.csv"] = folder / "semicolon.csv"
    text = frames["plain.csv"].rename(columns={"Antibody Name": "Antikörper", "HIC": "HIC (µl)"})
    paths["semicolon.csv"].write_bytes(
        text.rename(columns={"Antikörper": "#ID"}).to_csv(index=False, sep=";", decimal=",").encode("cp1252")
    )
    book = openpyxl.Workbook()
    for row in (["Table S1"], list(frames["plain.csv"].columns), *frames["plain.csv"].to_numpy().tolist()):
        book.worksheets[0].append(row)
    paths["plain.xlsx"] = folder / "plain.xlsx"
    book.save(paths["plain.xlsx"])
    unpaired = {"sequence": DNA, "productive": "T", "sequence_alignment_aa": three[0], "ANARCI_status": "|||"}
    paths["oas.csv"] = oas(folder / "oas.csv", pd.DataFrame(unpaired))
    paired = {
        "sequence_id_heavy": ids,
        "sequence_heavy": DNA,
        "sequence_alignment_aa_heavy": three[0],
        "Isotype_heavy": "IGHG",
        "sequence_alignment_aa_light": three[1],
    }
    paths["oas_paired.csv"] = oas(folder / "oas_paired.csv", pd.DataFrame(paired))
    paths["biotrainer.fasta"] = folder / "biotrainer.fasta"
    records = zip(ids, three[0], (1.5, 2.5, 3.5), strict=True)
    paths["biotrainer.fasta"].write_text("".join(f">{i} TARGET={y} SET=train\n{x}\n" for i, x, y in records))
    return paths
