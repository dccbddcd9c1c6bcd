"""Plain English, as far as a machine can hold it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import antibody_esm

ROOT = Path(antibody_esm.__file__).parent
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}

OPENINGS = re.compile(r"(What|Who|Whom|Whose|How|Whether|Where|Which|Of|That|When|Why)\b")
"""Words with which no docstring opens."""
NAMES = {"found", "given", "known", "one", "said", "some", "told"}
"""Names that do not tell what is in them."""
PUBLIC = {
    ("evaluation/baselines.py", "found"),
    ("evaluation/comparison.py", "one"),
    ("evaluation/paired.py", "one"),
}
"""Attributes and parameters that users may have written, and keys of JSON files."""
PERSONS = re.compile(r"\b(is|are|was|were|be|been|being) (asked|believed|said|told)\b|\b(believes|says|tells)\b")
"""Verbs of people, which data, files and functions do not do."""


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return docstrings, of attributes too, with their lines."""
    for node in ast.walk(tree):
        for inner in getattr(node, "body", []) if isinstance(getattr(node, "body", []), list) else []:
            value = inner.value if isinstance(inner, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield inner.lineno, value.value


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return the names of variables and parameters, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def faults(tree: ast.AST) -> list[tuple[int, str]]:
    opening = [(line, text[:40]) for line, text in texts(tree) if OPENINGS.match(text.lstrip())]
    persons = [(line, found[0]) for line, text in texts(tree) if (found := PERSONS.search(text))]
    return [*opening, *persons, *((line, name) for line, name in names(tree) if name in NAMES)]


@pytest.mark.parametrize("module", TREES)
def test_prose_is_plain(module: str) -> None:
    assert [(line, text) for line, text in faults(TREES[module]) if (module, text) not in PUBLIC] == []


def test_the_test_of_prose_can_fail() -> None:
    source = '''
class A:
    """Whether it is so."""

    x = 1
    """Number that the user is told."""

def f(one):
    """Return it; a file says so."""
    return [some for some in one]
'''
    assert faults(ast.parse(source)) == [
        (3, "Whether it is so."),
        (6, "is told"),
        (9, "says"),
        (8, "one"),
        (10, "some"),
    ]
