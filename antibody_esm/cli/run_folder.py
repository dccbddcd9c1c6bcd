"""The folder of a run of ``antibody-train``: its place, its files, and what is kept of a run that failed."""

import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from antibody_esm.folders import replacing_folder

if TYPE_CHECKING:
    from antibody_esm.specs.training import Run

OF_A_FAILURE = ("config.yaml", "overrides.yaml", "train.log")
_RESULTS = (*OF_A_FAILURE, "metrics.json", "out_of_fold.csv", "report.html")
"""Files of a run's folder beside those of its model, of which the log of test sets is not replaced."""


def folder_of(run: "Run", kind: str) -> Path:
    """Return the folder that a run names, or one of its own: the kind, the date and the time."""
    if run.output:
        return Path(run.output)
    now = datetime.now().astimezone()
    return Path(kind) / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S-%f}"


def files_of_run(run: "Run", folder: Path) -> list[str]:
    """Return the files of a run's folder: those that the run writes, and those of an earlier run there.

    A README that is no card, or an edited one, is none of them; raises StoreError for an adapter of no saved model.
    """
    from antibody_esm.panel_files import files_of, folder_names
    from antibody_esm.plm.adapters import NAME

    labels = () if run.data.label is None or isinstance(run.data.label, str) else run.data.label
    places = folder_names(labels).values() if labels else ["."]
    adapters = {str(Path(place, NAME)) for place in places} if run.train.finetune is not None else ()
    return [*_RESULTS, *(f"model/{name}" for name in files_of(folder / "model", labels, adapters))]


def keep_failure(new: Path, folder: Path) -> Path:
    """Keep configuration and log of a failed run beside the earlier results."""
    failed = folder.resolve()
    failed = failed.with_name(f"{failed.name}.failed")
    with replacing_folder(failed, OF_A_FAILURE) as copy:
        for name in OF_A_FAILURE:
            shutil.copy(new / name, copy / name)
    return failed / "train.log"
