"""Panels on disk: a folder with one saved model for each label, and a manifest of them."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from antibody_esm.card_files import CARD, KEPT, is_free
from antibody_esm.errors import StoreError
from antibody_esm.files import write
from antibody_esm.folders import replacing_folder
from antibody_esm.limits import LimitError, parse_json, read_regular
from antibody_esm.model_facts import ModelFacts
from antibody_esm.model_files import (
    FILES,
    PANEL,
    Card,
    FittedModel,
    facts_of,
    load_model,
    manifest_digest,
    saved_model,
)
from antibody_esm.plm.adapters import NAME as ADAPTER
from antibody_esm.saved_adapters import replaced_adapter

FORMAT = 1
"""Layout of a saved panel. Raise it when an older version of this package would misread a newer panel."""

MOST = 1_000
"""Most labels of a panel."""
_BYTES = 10**6
_MANIFEST = FILES[0]
_MODEL_BYTES = 16 * 10**6
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def is_panel(folder: Path) -> bool:
    """Return True if a folder holds a saved panel rather than a saved model."""
    return (folder / PANEL).is_file() and not (folder / _MANIFEST).exists()


def first_model(folder: Path) -> Path:
    """Return the folder of the first model of a panel. Raises StoreError if the folder is not a saved panel."""
    return folder / _entries(folder)[0][1]


def saved_labels(folder: Path) -> list[str]:
    """Return the labels of a saved panel. Raises StoreError if the folder is not a saved panel."""
    return [label for label, _, _ in _entries(folder)]


def folders_of(folder: Path) -> list[str]:
    """Return the folders of the models of a saved panel. Raises StoreError if the folder is not a saved panel."""
    return [name for _, name, _ in _entries(folder)]


def folder_names(labels: Collection[str]) -> dict[str, str]:
    """Return a distinct name of a folder for each label, of letters, digits, ``_`` and ``-``.

    Examples
    --------
    >>> folder_names(["Tm2 (°C)", "HIC", "hic", "../x"])
    {'Tm2 (°C)': 'Tm2_C', 'HIC': 'HIC', 'hic': 'hic-2', '../x': 'x'}
    """
    names: dict[str, str] = {}
    for label in labels:
        plain = re.sub(r"[^A-Za-z0-9-]+", "_", label).strip("_-")[:56] or "label"
        taken = {name.lower() for name in names.values()}
        choices = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(labels) + 2))
        names[label] = next(name for name in choices if name.lower() not in taken)
    return names


def files_of(folder: Path, labels: Collection[str], written: Collection[str] | None = None) -> list[str]:
    """Return the files that a panel of these labels writes to a folder, and those of an earlier panel there.

    If the files to write are `written`, adapters of no saved model are left out; raises as `replaced_adapter` does.
    """
    places = [".", *dict.fromkeys([*folder_names(labels).values(), *_earlier(folder)])]
    names = [str(Path(place, file)) for place in places for file in FILES if file != ADAPTER]
    for place in places:
        name = str(Path(place, ADAPTER))
        if written is None or replaced_adapter(folder / place, needed=name in written):
            names.append(name)
    return [PANEL, *names, *(str(Path(place, CARD)) for place in places if is_free(folder / place))]


class Cards(NamedTuple):
    """Functions that write cards."""

    model: Card
    panel: Callable[[Mapping[str, tuple[str, ModelFacts]]], bytes]
    """Card of a panel, from the folder and the facts of each label's model."""


def save_panel(models: Mapping[str, FittedModel], folder: Path, *, training: bool, cards: Cards) -> str:
    """Write a panel, and return a description of the saved training data; an earlier panel or model is replaced."""
    files, description = saved_panel(models, training=training, cards=cards)
    ours = files_of(folder, models, files)
    with replacing_folder(folder, ours) as new:
        for name, content in files.items():
            if name in ours:
                (new / name).parent.mkdir(exist_ok=True)
                write(new / name, content)
    return description + ("" if set(files) <= set(ours) else KEPT)


def saved_panel(models: Mapping[str, FittedModel], *, training: bool, cards: Cards) -> tuple[dict[str, bytes], str]:
    """Return the files of a panel as `save_panel` writes them, and a description of the saved training data."""
    names = folder_names(models)
    saved = {label: saved_model(model, training=training, card=cards.model) for label, model in models.items()}
    entries = [
        {"label": label, "folder": names[label], "sha256": hashlib.sha256(each.files[_MANIFEST]).hexdigest()}
        for label, each in saved.items()
    ]
    manifest: dict[str, Any] = {"format": FORMAT, "models": entries}
    manifest["sha256"] = manifest_digest(manifest)
    files = {f"{names[label]}/{name}": content for label, each in saved.items() for name, content in each.files.items()}
    files[PANEL] = json.dumps(manifest, indent=2, ensure_ascii=False).encode()
    files[CARD] = cards.panel({label: (names[label], each.facts) for label, each in saved.items()})
    return files, "; ".join(f"{label} {each.description}" for label, each in saved.items())


def facts_of_panel(folder: Path) -> dict[str, tuple[str, ModelFacts]]:
    """Return the folder and the facts of each label's model; raises as `load_panel` does."""
    return {label: (place.name, facts_of(place)) for label, (_, place) in load_panel(folder).items()}


def load_panel(
    folder: Path, plugins: Sequence[str] = (), *, lasting: bool = True
) -> dict[str, tuple[FittedModel, Path]]:
    """Return the model of each label, and its folder; no code of the files runs.

    Raises
    ------
    StoreError
        If the folder is not a saved panel, was changed, or names a folder outside of it; and as `load_model` does.
    """
    path = folder / PANEL
    if (folder / _MANIFEST).exists() and not path.exists():
        raise StoreError("a model of one label; read it with Predictor.load", folder)
    models: dict[str, tuple[FittedModel, Path]] = {}
    for label, name, sha256 in _entries(folder):
        place = folder / name
        if place.is_symlink() or not place.is_dir():
            raise StoreError(f"the model of {label!r} is missing", place)
        try:
            content = read_regular(place / _MANIFEST, _MODEL_BYTES, place)
        except (LimitError, OSError) as error:
            raise StoreError(f"the model of {label!r} cannot be read: {error}", place / _MANIFEST) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StoreError(f"not the model of {label!r} that the panel was saved with", place)
        model = load_model(place, plugins, lasting=lasting)
        if model.data.label not in (None, label):
            raise StoreError(f"the model of {label!r} was trained on {model.data.label!r}", place)
        models[label] = model, place
    return models


def _entries(folder: Path) -> list[tuple[str, str, str]]:
    """Return label, folder and digest of each model in a manifest that is as `save_panel` writes it."""
    path = folder / PANEL
    try:
        manifest = parse_json(read_regular(path, _BYTES, folder))
    except OSError as error:
        raise StoreError(f"not a saved panel: {error.strerror}", path) from error
    except (LimitError, ValueError, RecursionError) as error:
        raise StoreError(f"not the manifest of a panel: {error}", path) from error
    if not isinstance(manifest, dict) or set(manifest) != {"format", "models", "sha256"}:
        raise StoreError("not the manifest of a panel", path)
    if type(manifest["format"]) is not int or manifest["format"] != FORMAT:
        raise StoreError(f"not a panel of format {FORMAT}", path)
    if manifest["sha256"] != manifest_digest(manifest):
        raise StoreError("the manifest was changed after the panel was saved", path)
    models = manifest["models"]
    if not isinstance(models, list) or not 0 < len(models) <= MOST:
        raise StoreError(f"a panel has 1 to {MOST:,} models", path)
    seen: set[str] = set()
    for model in models:
        if not isinstance(model, dict) or set(model) != {"label", "folder", "sha256"}:
            raise StoreError("a model of a panel has a label, a folder and a digest", path)
        if not all(isinstance(value, str) for value in model.values()):
            raise StoreError("label, folder and digest of a model must be texts", path)
        if not _FOLDER.fullmatch(model["folder"]):
            raise StoreError(f"{model['folder'][:80]!r} is not the name of a folder of a panel", path)
        names = {f"label {model['label']}", f"folder {model['folder'].lower()}"}
        if names & seen:
            raise StoreError(f"two models of a panel share a label or a folder: {model['label'][:80]!r}", path)
        seen |= names
    return [(model["label"], model["folder"], model["sha256"]) for model in models]


def _earlier(folder: Path) -> list[str]:
    """Return the folders of a panel that is replaced; empty if there is none, or if its manifest cannot be read."""
    if not is_panel(folder):
        return []
    try:
        return [name for _, name, _ in _entries(folder)]
    except StoreError:
        return []
