"""A page on each public data set, made from its provenance: ``python -m antibody_esm.data.cards docs/data``."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from antibody_esm.data.dataset import Dataset
from antibody_esm.data.downloads import registry
from antibody_esm.data.jain import ASSAYS
from antibody_esm.data.public import load_dataset
from antibody_esm.files import write
from antibody_esm.licences import DATA

_ABOUT = {
    "boughter": (
        "Antibodies of influenza, HIV and mouse IgA studies, with the number of ligands of a polyreactivity ELISA that "
        "each bound.",
        {"graded": "0: no ligand, 1: four or more; the default", "count": "the number of ligands, 0 to 7"},
        (
            "The panel has four to seven ligands, depending on the study, so that four or more is not equally strict "
            "everywhere. In the gut study, no antibody bound more than four.",
            "Mouse antibodies are published as Y (two or more) or N. Their counts are recovered from another file of "
            "the same authors, by the loops CDR-H3 and CDR-L3, which differ in all of its rows. The other four loops "
            "must agree too, except for their ends. Two rows fit six antibodies that differ elsewhere, one of which "
            "each was counted; they are left out. The HIV study of `plos` has no counts and is left out.",
            "The number of ligands is the measurement `ligands`, and `data.ungraded` are the 324 antibodies with one "
            "to three. Reports print Spearman's correlation of the probability with it over all 993, and over the 669. "
            "The 324 are never trained on: each is predicted by the model of one fold, that of its relatives (its "
            "group, or the most similar labelled antibody, if the split keeps these together), else in turn.",
            "Two influenza records (26 and 48) have heavy and light chain in each other's file. They are corrected.",
            "Chains are DNA reads: leading X are bases that were not read, and most of the 57 incomplete light domains "
            "lose framework 4 to a shifted frame. Only antibodies with two complete domains are kept.",
            "Many antibodies are clonally related: see `audit()`, and split by identity cluster or by `groups`.",
            '`labels="predecessor"` gives the 914 rows (443 and 471) that this package\'s predecessor trained '
            "on, of 1,117 "
            "it translated and 1,065 it annotated. N was counted as no ligand and Y as seven. Among the 514 rows with "
            "N or Y, 167 break its own rule of none against four or more, and 73 cannot be checked. 17 rows repeat "
            "another row, 6 sequences have both labels, 62 rows hold X, and one row is a light chain. Four of the 914 "
            "heavy chains differ from its file: `hiv_nat_000024` and `gut_hiv_000030` have no framework 4, so that "
            "programs place their ends differently; `mouse_iga_000167` has two residues more at its beginning, and "
            "`mouse_iga_000190` five less.",
        ),
    ),
    "jain": (
        "137 antibodies that have reached clinical trials, with twelve biophysical assays.",
        {
            "flags": "1: PSR > 0.27, BVP > 4.3 or ELISA > 1.9; the default",
            ", ".join(ASSAYS): "the values of an assay",
            "psr_flag": "1 beyond the threshold of an assay, here PSR; there is none for titer and tm",
            "flag_groups": "number of four groups of assays with a flag, 0 to 4",
        },
        (
            "Thresholds are those of Table 1 of the paper: the worst tenth of 48 approved antibodies. They have wide "
            "margins there (PSR 0.27 ± 0.06, BVP 4.3 ± 2.2, ELISA 1.9 ± 1.0), and some antibodies lie just "
            "beside them.",
            "The default label, a flag in any of three assays, is this package's choice, not the paper's. No label and "
            "no number of rows was chosen to approach a published accuracy.",
            "The number of groups with a flag is the measurement `flag_groups`. Reports print Spearman's correlation "
            "of the probability with it.",
            "25 minutes in HIC and SMAC means that the antibody did not elute.",
        ),
    ),
    "shehata": (
        "398 antibodies of naive and memory B cells and plasma cells, with a polyspecificity score.",
        {"published": "1 for seven antibodies; the default", "psr": "the score, 0 to 1"},
        (
            "With seven positives, accuracy is uninformative and intervals are wide: a classifier that calls every "
            "antibody negative has an accuracy of 98 %.",
            "The lowest score of a positive is 0.3646 and the highest of a negative 0.3093: any threshold between them "
            "gives the published labels.",
            "251 scores are exactly 0.",
        ),
    ),
    "harvey": (
        "48 nanobodies that were measured individually.",
        {
            "psr": "binding to the polyspecificity reagent, in percent of the highest clone; the default",
            "moderate": "1 at or above 6.2 %, the authors' threshold",
            "high": "1 at or above 60.0 %, the authors' threshold",
        },
        (
            "The column `exp_phenotype_binary` of the file is 1 in all rows, and is no label.",
            "Sequences are joined from one column per position, insertions (111A, 112A) included. Without insertions, "
            "as in the predecessor of this package, 29 of 48 have a CDR3 that is too short.",
            "`antibody_esm.data.harvey.stream_harvey` yields the 141,474 sorted nanobodies in batches, from files "
            "whose SHA-256 you pass. This package has no digests of these files, because they could not be downloaded "
            "when it was built.",
        ),
    ),
}


def card(name: str) -> str:
    """Return the page of a public data set, in Markdown.

    Raises
    ------
    DatasetError
        If its files cannot be downloaded or read.
    """
    about, labels, remarks = _ABOUT[name]
    data = load_dataset(name)
    origin = data.provenance
    lines = [
        f"# {name}",
        "",
        textwrap.fill(about, 120),
        "",
        "```python",
        "from antibody_esm import load_dataset",
        "",
        f'data = load_dataset("{name}")  # {_counted(data)}',
        "```",
        "",
        *_table(
            ("`labels=`", "meaning"),
            [(", ".join(f"`{label_name}`" for label_name in key.split(", ")), text) for key, text in labels.items()],
        ),
        "",
        *_table(("step", "antibodies"), [(step, f"{count:,}") for step, count in origin.counts.items()]),
        "",
    ]
    if origin.dropped:
        lines += [*_table(("left out", "antibodies"), [(why, f"{n:,}") for why, n in origin.reasons().items()]), ""]
    if data.groups is not None:
        label = data.binary_labels()
        groups = np.array(data.groups)
        rows = [
            (group, f"{(groups == group).sum():,}", f"{label[groups == group].sum():,}")
            for group in sorted(set(data.groups))
        ]
        lines += [*_table(("group", "antibodies", "positive"), rows), ""]
    notes = [textwrap.fill(note, 120, initial_indent="- ", subsequent_indent="  ") for note in remarks]
    lines += ["## Notes", "", *notes, ""]
    lines += ["## Source", "", f"{origin.citation}. Licence: {DATA[name]}.", ""]
    paths = {Path(path).name: (path, url) for path, (_, url) in registry().items()}
    files = [
        (f"[`{Path(file).name}`]({paths[Path(file).name][1]})", f"`{digest}`") for file, digest in origin.sha256.items()
    ]
    lines += [*_table(("file", "SHA-256"), files), ""]
    return "\n".join(lines)


def _counted(data: Dataset) -> str:
    return repr(data).removeprefix("Dataset(").removesuffix(")")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def main(folder: Path) -> None:
    """Write the page of every data set."""
    for name in _ABOUT:
        write(folder / f"{name}.md", card(name).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
