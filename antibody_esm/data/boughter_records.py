"""Antibodies of Boughter et al. 2020 as published: DNA of both chains, and a label."""

from dataclasses import dataclass

from antibody_esm.data.downloads import RawFile, fetch
from antibody_esm.data.provenance import Provenance
from antibody_esm.data.translation import read_dna
from antibody_esm.errors import DatasetError
from antibody_esm.licences import DATA

MANY = 4
"""Fewest ligands of a polyreactive antibody. Antibodies without ligands are negative; those between are left out."""


@dataclass(frozen=True)
class Study:
    """One of the six studies."""

    heavy: str
    light: str
    labels: str
    family: str
    predecessor: str
    """Name in the predecessor of this package."""


STUDIES = {
    "flu": Study("flu_fastaH.txt", "flu_fastaL.txt", "flu_NumReact.txt", "influenza", "flu"),
    "nat_hiv": Study("nat_hiv_fastaH.txt", "nat_hiv_fastaL.txt", "nat_hiv_NumReact.txt", "HIV", "hiv_nat"),
    "nat_cntrl": Study("nat_cntrl_fastaH.txt", "nat_cntrl_fastaL.txt", "nat_cntrl_NumReact.txt", "HIV", "hiv_cntrl"),
    "plos_hiv": Study("plos_hiv_fastaH.txt", "plos_hiv_fastaL.txt", "plos_hiv_YN.txt", "HIV", "hiv_plos"),
    "gut_hiv": Study("gut_hiv_fastaH.txt", "gut_hiv_fastaL.txt", "gut_hiv_NumReact.txt", "HIV", "gut_hiv"),
    "mouse": Study("mouse_fastaH.dat", "mouse_fastaL.dat", "mouse_YN.txt", "mouse", "mouse_iga"),
}
"""Studies by name, in the order in which the predecessor joined them."""


@dataclass(frozen=True)
class PublishedAntibody:
    """Chains and label of an antibody as published."""

    id: str
    study: str
    heavy: str
    light: str
    label: str
    """Number of ligands, or Y or N."""


def read_records() -> tuple[list[PublishedAntibody], list[RawFile]]:
    """Return all antibodies in the order of the files, and the files."""
    records, files = [], []
    for name, study in STUDIES.items():
        heavy, light, labels = (fetch(f"boughter/raw/{file}") for file in (study.heavy, study.light, study.labels))
        values = [value for value in labels.path.read_text(encoding="ascii").split() if value != "reacts"]
        chains = read_dna(heavy.path), read_dna(light.path)
        if not len(values) == len(chains[0]) == len(chains[1]):
            raise DatasetError(f"{name}: chains and labels differ in number", labels.path)
        files += [heavy, light, labels]
        for row, (heavy_dna, light_dna, value) in enumerate(zip(*chains, values, strict=True)):
            records.append(
                PublishedAntibody(f"{study.predecessor}_{row + 1:06d}", name, heavy_dna, light_dna, value.upper())
            )
    return records, files


def provenance(rule: str, files: list[RawFile], counts: dict[str, int], dropped: dict[str, str]) -> Provenance:
    """Return the provenance for labels of one kind."""
    return Provenance(
        source="boughter: DNA of six studies, AIMS_manuscripts at 2772b8ec",
        rule=rule,
        citation="Boughter et al., eLife 2020, doi:10.7554/eLife.61393",
        licence=DATA["boughter"].name,
        sha256={f"{file.path.parent.name}/{file.path.name}": file.sha256 for file in files},
        counts=counts,
        dropped=dropped,
    )
