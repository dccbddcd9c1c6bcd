"""398 antibodies of human B cells of Shehata et al. 2019 with a polyspecificity score."""

import csv
import io

import numpy as np

from antibody_esm.data.dataset import Dataset, Provenance
from antibody_esm.data.downloads import fetch
from antibody_esm.errors import DatasetError
from antibody_esm.licences import DATA


def shehata(labels: str = "published") -> Dataset:
    """Return the antibodies with labels of one kind.

    Parameters
    ----------
    labels
        ``published``: 1 for the seven antibodies published as polyspecific. ``psr``: the score, 0 to 1.
    """
    file = fetch("shehata/shehata.csv")
    rows = list(csv.DictReader(io.StringIO(file.path.read_text(encoding="utf-8-sig"))))
    score = np.array([float(row["psr_score"]) for row in rows])
    rules = {
        "published": "the label in the file: 1 for scores of 0.3646 and more, 0 for 0.3093 and less",
        "psr": "binding to the polyspecificity reagent, 0 to 1",
    }
    if labels not in rules:
        raise DatasetError(f"unknown labels {labels!r} of 'shehata'; choose one of {', '.join(rules)}")
    return Dataset(
        ids=[row["id"] for row in rows],
        heavy=[row["heavy_seq"] for row in rows],
        light=[row["light_seq"] for row in rows],
        label=[float(row["label"]) for row in rows] if labels == "published" else score,
        label_name="polyreactivity" if labels == "published" else "psr",
        measurements={"psr": score},
        provenance=Provenance(
            source="shehata: antibodies of human B cells, as the predecessor of this package repackaged them",
            rule=rules[labels],
            citation="Shehata et al., Cell Reports 2019, 28:3300-3308, doi:10.1016/j.celrep.2019.08.056",
            licence=DATA["shehata"].name,
            sha256={file.path.name: file.sha256},
            counts={"antibodies": len(rows), "published as polyspecific": sum(row["label"] == "1" for row in rows)},
        ),
    )
