"""Advice for a folder that is no saved model, but has some inside."""

from pathlib import Path

_LISTED = 3
"""Most folders of models that a message names."""


def models_inside(folder: Path, manifest: str) -> list[Path]:
    """Return the folders of saved models directly inside of a folder, in order; none if it cannot be read."""
    try:
        return sorted(path.parent for path in folder.glob(f"*/{manifest}") if path.is_file())
    except OSError:
        return []


def of_panel(folder: Path, manifest: str) -> str:
    """Return the message for a panel where one model is needed."""
    inside = models_inside(folder, manifest)
    names = f": {_listed(inside)}" if inside else ""
    return f"a panel of models, one for each label; name the folder of one label{names}. Panel.load reads all"


def of_run(folder: Path, manifest: str, panel: str) -> str:
    """Return a question for the folder in which `antibody-train` saved a model or panel; empty if there is none."""
    inside = models_inside(folder, manifest)
    if (folder / "model" / panel).is_file():
        inside = [folder / "model"]
    return f"; did you mean {_listed(inside)}?" if inside else ""


def _listed(folders: list[Path]) -> str:
    names = [str(folder) for folder in folders[:_LISTED]]
    names += [f"{len(folders) - _LISTED} more"] * (len(folders) > _LISTED)
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
