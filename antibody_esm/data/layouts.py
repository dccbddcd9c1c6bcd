"""Layouts in which the field writes tables of antibodies: their columns, and what these become."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from antibody_esm.errors import DatasetError
from antibody_esm.spelling import did_you_mean

Role = Literal["id", "heavy", "light", "label", "sequence"]


class Columns(NamedTuple):
    """Names of a table's columns and its layout; None is recognised."""

    id: str | None = None
    heavy: str | None = None
    light: str | None = None
    label: str | None = None
    layout: str | None = None
    """Name of one of `LAYOUTS`."""


@dataclass(frozen=True)
class Layout:
    """One way in which the field writes tables."""

    name: str
    """Name for `load_dataset(layout=)` and ``--layout``."""
    title: str
    """Name for messages."""
    told_by: tuple[str, ...] = ()
    """Columns that all tables of the layout have, and no others."""
    columns: Mapping[Role, str] = field(default_factory=dict)
    """Columns of ids, chains and labels; ``sequence`` is one of chains of either kind."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Columns of species or isotype, by the name under which they are added."""
    transcripts: bool = False
    """True if sequences are translated transcripts: a leader, a constant region or ``*`` may stand beside the domain,
    which is cut out."""
    gaps: bool = False
    """True if sequences may have the gaps of an alignment, ``.`` and ``-``, which are removed."""
    productive: str | None = None
    """Column that is false for a chain that is no protein; such rows are refused."""
    one_chain_a_row: bool = False
    """True if a row is one chain; columns of both kinds then have one cell of two."""
    pairs: bool = False
    """True if a row is one chain of a cell, and chains of a barcode are paired."""
    second_arm: tuple[str, ...] = ()
    """Columns of further chains of the same molecule, which are not read."""
    elsewhere: str = ""
    """Sentence of a message: which file has the amino acids. Such a table cannot be read."""
    hint: str = ""
    """Advice for cells that are DNA."""


LAYOUTS = (
    Layout(
        "oas_paired",
        "OAS, paired",
        ("sequence_alignment_aa_heavy", "sequence_alignment_aa_light"),
        {"id": "sequence_id_heavy", "heavy": "sequence_alignment_aa_heavy", "light": "sequence_alignment_aa_light"},
        {"isotype": "Isotype_heavy"},
    ),
    Layout(
        "oas",
        "OAS, unpaired",
        ("sequence_alignment_aa", "ANARCI_status"),
        {"sequence": "sequence_alignment_aa"},
        one_chain_a_row=True,
        productive="productive",
    ),
    Layout(
        "airr",
        "AIRR rearrangements",
        ("sequence_id", "sequence_aa"),
        {"id": "sequence_id", "sequence": "sequence_aa"},
        {"isotype": "c_call"},
        transcripts=True,
        one_chain_a_row=True,
        productive="productive",
    ),
    Layout(
        "airr_alignment",
        "AIRR rearrangements",
        ("sequence_id", "sequence_alignment_aa", "v_call"),
        {"id": "sequence_id", "sequence": "sequence_alignment_aa"},
        {"isotype": "c_call"},
        transcripts=True,
        one_chain_a_row=True,
        gaps=True,
        productive="productive",
    ),
    Layout(
        "airr_nucleotides",
        "AIRR rearrangements",
        ("sequence_id", "sequence", "v_call", "junction"),
        elsewhere=(
            "it holds nucleotides only: write it with the column sequence_aa (IgBLAST -outfmt 19, MiXCR exportAirr, "
            "10x airr_rearrangement.tsv)"
        ),
    ),
    Layout(
        "10x",
        "10x contig annotations",
        ("barcode", "contig_id", "chain", "fwr1", "cdr1", "fwr2", "cdr2", "fwr3", "cdr3", "fwr4"),
        {"id": "barcode", "heavy": "heavy", "light": "light"},
        {"isotype": "c_gene"},
        pairs=True,
    ),
    Layout(
        "10x_cdr3",
        "10x contig annotations",
        ("barcode", "contig_id", "chain", "cdr3"),
        elsewhere=(
            "of the amino acids it has CDR3 only; the file airr_rearrangement.tsv of the same run has whole chains "
            "(column sequence_aa), as have contig annotations of Cell Ranger 4 or later (fwr1 to fwr4)"
        ),
    ),
    Layout(
        "10x_clonotypes",
        "10x clonotypes",
        ("clonotype_id", "cdr3s_aa"),
        elsewhere=(
            "it has CDR3 only; the files filtered_contig_annotations.csv (Cell Ranger 4 or later) and "
            "airr_rearrangement.tsv of the same run have whole chains"
        ),
    ),
    Layout(
        "therasabdab",
        "Thera-SAbDab",
        ("Therapeutic", "HeavySequence", "LightSequence"),
        {"id": "Therapeutic", "heavy": "HeavySequence", "light": "LightSequence"},
        {"isotype": "CH1 Isotype"},
        second_arm=("HeavySequence(ifbispec)", "LightSequence(ifbispec)"),
    ),
    Layout(
        "therasabdab_spaced",
        "Thera-SAbDab",
        ("Therapeutic", "Heavy Sequence", "Light Sequence"),
        {"id": "Therapeutic", "heavy": "Heavy Sequence", "light": "Light Sequence"},
        {"isotype": "CH1 Isotype"},
        second_arm=("Heavy Sequence (if bispec)", "Light Sequence (if bispec)"),
    ),
    Layout(
        "sabdab",
        "SAbDab summary",
        ("pdb", "Hchain", "Lchain"),
        elsewhere=(
            "it names chains of structures and has no sequences; the structures of the same download have them "
            "(imgt/*.pdb, chains Hchain and Lchain), or the FASTA of each entry at the PDB"
        ),
    ),
    Layout(
        "imgt",
        "IMGT/HighV-QUEST",
        ("Sequence ID", "V-D-J-REGION", "V-J-REGION"),
        {"id": "Sequence ID", "heavy": "V-D-J-REGION", "light": "V-J-REGION"},
        one_chain_a_row=True,
        gaps=True,
        hint="the sheet 5_AA-sequences of the same results has the amino acids",
    ),
    Layout("flab", "FLAb", ("heavy", "light", "fitness"), {"label": "fitness"}),
    Layout("biotrainer", "biotrainer FASTA", ("id", "sequence", "TARGET"), {"label": "TARGET"}),
    Layout("plain", "a plain table"),
)
"""Layouts in the order in which they are tried. Facts are those of the programs' documentation: AIRR rearrangement
schema 1.5, Cell Ranger 8, OAS (doi:10.1002/pro.4205), SAbDab and Thera-SAbDab (doi:10.1093/nar/gkab1050),
IMGT/HighV-QUEST, FLAb (doi:10.1101/2024.01.13.575504), biotrainer."""

NAMES = tuple(layout.name for layout in LAYOUTS if not layout.elsewhere)
"""Names of the layouts that can be read."""
_BY_NAME = {layout.name: layout for layout in LAYOUTS}
PLAIN = _BY_NAME["plain"]


def layout_of(names: Iterable[object], layout: str | None = None) -> Layout:
    """Return the layout of a table by the names of its columns, or the one that is forced.

    Raises
    ------
    DatasetError
        If the layout does not exist or lacks its columns, or if tables of this layout hold no amino acids.

    Examples
    --------
    >>> layout_of(["Therapeutic", "HeavySequence", "LightSequence"]).title, layout_of(["VH", "VL"]).name
    ('Thera-SAbDab', 'plain')
    """
    there = {str(name) for name in names}
    if layout is None:
        chosen = next(each for each in LAYOUTS if there.issuperset(each.told_by))
    elif layout not in NAMES:
        raise DatasetError(f"unknown layout {layout!r}; choose one of {', '.join(NAMES)}{did_you_mean(layout, NAMES)}")
    else:
        chosen = _BY_NAME[layout]
        absent = [name for name in chosen.told_by if name not in there]
        if absent:
            raise DatasetError(
                f"a table in the layout {chosen.title} has a column {absent[0]!r}; the columns are "
                f"{', '.join(map(str, names))}",
                column=absent[0],
            )
    if chosen.elsewhere and not _readable(there):
        raise DatasetError(f"{chosen.title}: {chosen.elsewhere}")
    return PLAIN if chosen.elsewhere else chosen


def pairs_rows(names: Iterable[object]) -> bool:
    """Return True if a table's rows are single chains of cells, so that antibodies are several rows."""
    there = set(names)
    return any(layout.pairs and there.issuperset(layout.told_by) for layout in LAYOUTS)


def hint_of(names: Iterable[object]) -> str:
    """Return the advice for DNA in a table with these columns; empty if there is none."""
    there = set(names)
    return next((layout.hint for layout in LAYOUTS if layout.hint and there.issuperset(layout.told_by)), "")


def _readable(names: set[str]) -> bool:
    """Return True if a table has columns of chains by their default names, so that it is no table without chains."""
    return bool({"heavy", "light"} & names)
