"""The reference documents exactly what imports from the package, under the place that it imports from."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import antibody_esm

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"
MODULES = {path.stem for path in Path(antibody_esm.__file__).parent.iterdir()}


def headings(page: str) -> list[str]:
    """Return the dotted paths that a page of mkdocstrings documents."""
    return re.findall(r"^::: ([\w.]+)$", page, flags=re.M)


def from_the_door(paths: list[str]) -> set[str]:
    """Return the names that a page says import from `antibody_esm`."""
    names = {path.removeprefix("antibody_esm.") for path in paths}
    return {name for name in names if "." not in name and name not in MODULES}


def imported(path: str) -> object:
    """Return what the import that a heading stands for gives: ``from <place> import <name>``, or a module."""
    place, _, name = path.rpartition(".")
    module = import_module(place)
    return getattr(module, name) if hasattr(module, name) else import_module(path)


DOCUMENTED = headings(PAGE.read_text(encoding="utf-8"))


def test_every_name_of_the_door_is_documented_and_no_other_is_said_to_be_there() -> None:
    assert from_the_door(DOCUMENTED) == set(antibody_esm.__all__)


@pytest.mark.parametrize("path", DOCUMENTED)
def test_what_is_documented_imports_from_where_its_heading_says(path: str) -> None:
    assert imported(path) is not None


def test_a_name_of_the_door_is_headed_by_the_door() -> None:
    elsewhere = {path.rpartition(".")[2] for path in DOCUMENTED if path.count(".") > 1}
    assert elsewhere & set(antibody_esm.__all__) == set()


def test_nothing_is_documented_twice() -> None:
    assert len(DOCUMENTED) == len(set(DOCUMENTED))


def test_the_test_of_the_door_can_fail() -> None:
    page = "::: antibody_esm.Trainer\n\n::: antibody_esm.nothing\n    options:\n\n::: antibody_esm.data.audit.Audit\n"
    assert from_the_door(headings(page)) == {"Trainer", "nothing"}
    with pytest.raises(ImportError):
        imported("antibody_esm.nothing")
