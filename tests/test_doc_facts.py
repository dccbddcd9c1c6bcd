"""Pages name commands, options, names and defaults that exist, and give one number for one measurement."""

import functools
import importlib
import inspect
import pkgutil
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import antibody_esm
from antibody_esm import (
    Dataset,
    DecisionSpec,
    EmbeddingStore,
    ExtractorSpec,
    Predictor,
    Report,
    RuntimeSpec,
    Trainer,
    TuneSpec,
    presets,
)
from antibody_esm.cli import app, benchmark, train
from antibody_esm.numbering import Domain
from test_pages import PROJECT, TEXTS

FENCES = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", flags=re.S | re.M)
ESM = typer.main.get_command(app.app)
OVERRIDES = {"antibody-train": train.app, "antibody-benchmark": benchmark.app}
FOREIGN_OPTIONS = {
    *("--no-deps", "--no-index", "--find-links", "--index-url", "--wheel", "--outdir", "--local-dir"),  # of pip and hf
    *("--nthreads", "--port", "--device", "--tiny"),  # of dask and benchmarks/gpu.py
}


def shell_lines() -> Iterator[tuple[str, str]]:
    """Yield pages and the lines of this package's commands that stand on them, in blocks and in code font."""
    for page, text in TEXTS.items():
        for _, language, block in FENCES.findall(text):
            if language not in ("python", "text", "json", "bibtex"):
                for line in block.replace("\\\n", " ").splitlines():
                    if found := re.search(r"antibody-(esm|train|benchmark)( .*|$)", line):
                        yield page, found[0]
        for span in re.findall(r"`(antibody-(?:esm|train|benchmark) [^`]+)`", FENCES.sub("", text)):
            yield page, " ".join(span.split())


LINES = sorted(set(shell_lines()))


def options_of(command: Any) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def commands_of(command: Any) -> Iterator[Any]:
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from commands_of(below)


@pytest.mark.parametrize(("page", "line"), [pair for pair in LINES if pair[1].startswith("antibody-esm")])
def test_commands_and_their_options_exist(page: str, line: str) -> None:
    command, words = ESM, shlex.split(line, comments=True)[1:]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{page}: {line}"
        command = command.commands[words.pop(0)]
    named = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert named <= options_of(command) | {"--help"}, f"{page}: {line}"


def test_overrides_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = []
    for page, line in LINES:
        name, *words = shlex.split(line, comments=True)
        if name not in OVERRIDES or "..." in line or "--help" in words or not words:
            continue
        if page == "docs/plugins.md":
            continue  # of a plugin that test_plugins.py builds and installs
        if name == "antibody-benchmark" or {"-m", "--multirun"} & set(words):
            continue  # see test_benchmark_command.py and test_multirun.py
        result = CliRunner().invoke(
            OVERRIDES[name], [*(word for word in words if word not in ("--cfg", "job")), "--cfg", "job"]
        )
        if result.exit_code:
            failed.append(f"{page}: {line}\n{result.output[-300:]}")
    assert failed == []


def test_options_in_code_font_exist() -> None:
    known = {option for command in commands_of(ESM) for option in options_of(command)}
    known |= {option for each in OVERRIDES.values() for option in options_of(typer.main.get_command(each))}
    for page, text in TEXTS.items():
        if page in ("docs/developer.md", "benchmarks/README.md") or page.startswith("docs/decisions/"):
            continue  # programs of others, and records of their time
        for span in re.findall(r"`([^`]+)`", FENCES.sub("", text)):
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", span)) <= known | FOREIGN_OPTIONS | {"--help"}, (
                page,
                span,
            )


@functools.cache
def public_names() -> dict[str, Any]:
    """Return what the package's modules define, by name."""
    names: dict[str, Any] = {}
    for module in pkgutil.walk_packages(antibody_esm.__path__, "antibody_esm."):
        if not module.name.startswith("antibody_esm.cli"):
            loaded = importlib.import_module(module.name)
            names |= {name: value for name, value in vars(loaded).items() if not name.startswith("_")}
    return names | {name: getattr(antibody_esm, name) for name in antibody_esm.__all__}


INSTANCES: Mapping[str, type] = {
    "trainer": Trainer,
    "predictor": Predictor,
    "report": Report,
    "store": EmbeddingStore,
    "domain": Domain,
    "Predictor.data": Dataset,
}
FOREIGN_NAMES = {
    *("LocalCluster", "SLURMCluster", "GridSearchCV", "Pipeline", "DataFrame", "Client"),
    *("HeavySequence", "LightSequence", "ConfigStore"),
    *("RuntimeWarning", "AssertionError", "ValueError", "OSError", "RuntimeError", "ConnectionError"),
}
"""Names of other libraries, and of Python."""


def has(owner: Any, name: str) -> bool:
    """Return whether a class or module has an attribute, also one that only its objects have."""
    if hasattr(owner, name) or name in getattr(owner, "model_fields", {}):
        return True
    annotated = {key for each in getattr(owner, "__mro__", ()) for key in getattr(each, "__annotations__", {})}
    return name in annotated or (inspect.isclass(owner) and f"self.{name}" in inspect.getsource(owner))


def resolves(span: str) -> bool:
    """Return whether a name in code font exists: whole from the package on, or from a class, or of a usual object."""
    if span.startswith("antibody_esm."):
        parts = span.split(".")
        for end in range(len(parts), 0, -1):
            try:
                owner: Any = importlib.import_module(".".join(parts[:end]))
            except ImportError:
                continue
            return all(has(owner, name) and ((owner := getattr(owner, name, None)) or True) for name in parts[end:])
        return False
    head, *rest = span.split(".")
    owner = INSTANCES.get(head) or public_names().get(head)
    return owner is not None and (not rest or has(owner, rest[0]))


def test_names_in_code_font_exist() -> None:
    missing = set()
    for page, text in TEXTS.items():
        if page.startswith("docs/decisions/"):
            continue  # records of their time
        for span in re.findall(r"`([A-Za-z_][\w.]*)(?:\(|`)", FENCES.sub("", text)):
            if re.search(r"\.(py|html|json|csv|md|zip)$", span):
                continue  # a file
            head = span.split(".")[0]
            camel = re.fullmatch(r"(?:[A-Z][a-z]+){2,}|[A-Z]\w*Spec", head)
            usual = head in INSTANCES and "." in span
            if (
                (camel or usual or span.startswith("antibody_esm."))
                and head not in FOREIGN_NAMES
                and not resolves(span)
            ):
                missing.add((page, span))
    assert missing == set()


def table_rows(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table of a page whose first cells are a heading."""
    (table,) = re.findall(rf"^\| {re.escape(heading)} .*\n\|[-|: ]+\n((?:\|.*\n)+)", TEXTS[page], flags=re.M)[:1]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]


def in_code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_tables_of_presets_have_every_preset_with_its_checkpoint() -> None:
    rows = table_rows("docs/language-models.md", "preset")
    named = {name for row in rows for name in in_code(row[0])} | {f"esm1v_{number}" for number in (2, 3, 4)}
    assert named == set(presets.EXTRACTORS)
    for row in rows:
        for name in in_code(row[0]):
            spec = presets.EXTRACTORS[name]
            if len(in_code(row[0])) == 1 and isinstance(spec, ExtractorSpec) and "/" in spec.model:
                assert f"`{spec.model}`" in row[1]
    estimators = [*table_rows("docs/classifiers.md", "preset | spec")]
    assert re.search(rf"\[{len(presets.EXTRACTORS)} presets\]", TEXTS["README.md"])
    for name in presets.ESTIMATORS:
        assert f"| `{name}` | `{type(presets.ESTIMATORS[name]).__name__}` |" in TEXTS["docs/classifiers.md"]
    assert estimators


@pytest.mark.parametrize("name", sorted(presets.ESTIMATORS))
def test_tables_of_classifiers_have_every_field_with_its_default(name: str) -> None:
    kind = type(presets.ESTIMATORS[name])
    (row,) = [
        line for line in TEXTS["docs/classifiers.md"].splitlines() if line.startswith(f"| `{name}` | `{kind.__name__}`")
    ]
    cells = dict(
        re.findall(
            r"`(\w+)(?:=([^`]+))?`", row.split("|")[3].replace("as `XGBoostSpec`, without `scale_pos_weight`", "")
        )
    )
    if not cells:
        assert {"scale_pos_weight"} == set(antibody_esm.XGBoostSpec.model_fields) - set(kind.model_fields)
        return
    fields = {
        key: field for key, field in kind.model_fields.items() if key not in ("kind", "format", "widths")
    }  # of spec and members, not of users
    cells = {key: value for key, value in cells.items() if value != "" or key in fields}
    assert set(cells) == set(fields)
    for key, value in cells.items():
        assert not value or float_or_text(value) == float_or_text(repr(fields[key].default)), (key, value)


def float_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value.strip("\"'")


@pytest.mark.parametrize(
    ("page", "spec"),
    [
        ("docs/language-models.md", ExtractorSpec),
        ("docs/large.md", RuntimeSpec),
        ("docs/thresholds.md", DecisionSpec),
        ("docs/tuning.md", TuneSpec),
    ],
)
def test_tables_of_fields_have_every_field_and_no_other(page: str, spec: Any) -> None:
    named = {name for row in table_rows(page, "field") for name in in_code(row[0])}
    hidden = {"format", "kind"}
    assert named - hidden == set(spec.model_fields) - hidden


def test_extras_exist_and_the_page_has_all_of_them() -> None:
    extras = set(PROJECT["optional-dependencies"])
    assert {in_code(row[0])[0] for row in table_rows("docs/install.md", "extra")} == extras
    for page, text in TEXTS.items():
        for named in re.findall(r'(?:antibody_esm|"\.|\'\.)\[([a-z0-9,]+)\]', text):
            assert set(named.split(",")) <= extras, page


FACTS = {
    "antibodies of boughter": r"\b(\d{3})(?: heavy chains| labelled VH| antibodies)? of \[?Boughter",
    "antibodies of the quickstart": r"(\d+) (?:influenza antibodies|antibodies, 173 positive \(48%\))",
    "antibodies of jain": r"(\d+) (?:in clinical trials|clinical-stage antibodies|antibodies of Jain)",
    "sorted nanobodies": r"the (\d{3},\d{3}) sorted",
    "parameters of Sapiens": r"0?(\.57) ?M parameters",
    "the quickstart's ROC AUC": r"antiberty \+ logreg +(\.\d{3}) ",
    "k-mers of the quickstart": r"^k-mers \(k = 1 to 3\) +(\.695) ",
    "the quickstart without clones": r"ROC AUC is (\.\d{3}) \[\.54, \.75\]",
    "chains with the same positions": r"(2,456) (?:domains|chains)",
    "accuracies reproduced": r"(61) of 64",
    "coverage, logistic regression": r"(92\.2) ?(?:%|and 90)",
    "gain of a plate": r"(?:expected to add|add) (\.\d{3}) ROC AUC",
    "what a regression on AntiBERTy has in ten folds": r"AntiBERTy \| (\.749) \[\.69, \.80\]",
    "what it has over clusters": r"(?:AntiBERTy costs|\| AntiBERTy \|[^|]*\|) (\.\d{3}) \[\.60, \.77\]",
}
"""Measurements that stand on several pages, and expressions that find their number."""


@pytest.mark.parametrize("fact", FACTS)
def test_a_measurement_has_one_number_on_all_pages(fact: str) -> None:
    found = {
        (page, number)
        for page, text in TEXTS.items()
        if not page.startswith("docs/decisions/")
        for number in re.findall(FACTS[fact], text, flags=re.M)
    }
    assert len({page for page, _ in found}) >= 2, found
    assert len({number for _, number in found}) == 1, found


def test_rows_that_are_repeated_are_those_of_the_page_that_measured_them() -> None:
    measured = {row[0]: row for row in table_rows("docs/what-predicts-what.md", "features")}
    rows = table_rows("docs/choosing.md", "features")
    assert len(rows) > 3
    for name, *cells in rows:
        for cell, whole in zip(cells, measured[name][1:], strict=False):
            assert whole.startswith(cell), name
    published = {row[0]: row[1].split(" ")[0] for row in table_rows("docs/what-predicts-what.md", "part")}
    text = " ".join(TEXTS["docs/choosing.md"].split())
    for part, words in {
        "VH": "{} with `VH`",
        "H-CDRs joined": "{} with joined heavy loops",
        "H-CDR3": "{} with the third loop alone",
        "VL": "{} with `VL`",
        "VH+VL side by side": "{} with both domains side by side",
    }.items():
        assert words.format(published[part]) in text


def test_every_report_of_the_quickstart_is_the_same_text() -> None:
    shown = {
        page: block
        for page, text in TEXTS.items()
        for _, _, block in FENCES.findall(text)
        if block.startswith("Cross-validation of antiberty + logreg")
    }
    longest = max(shown.values(), key=len)
    assert len(shown) >= 2
    for page, block in shown.items():
        assert longest.startswith(block), page
