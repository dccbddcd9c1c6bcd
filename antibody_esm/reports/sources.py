"""Sections of a page on its data: checks, provenance, versions, and the lines that reproduce it."""

import html
import json

from antibody_esm import licences
from antibody_esm.data.audit import Finding
from antibody_esm.data.dataset import Dataset
from antibody_esm.reports import elements, panels, reproduction
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.context import MANY
from antibody_esm.reports.elements import Part
from antibody_esm.reports.grid_analysis import GridAnalysis
from antibody_esm.specs.ensembles import models_of


def data(grid: GridAnalysis, figures: panels.Figures) -> list[Part]:
    """Return the audit of every data set, with the overlap of test sets and training sets."""
    parts = []
    for _, report in _sets(grid):
        antibodies, training = report.data_as_read, report.training
        identities = (0.95, 0.9, 0.8) if len(antibodies) <= MANY else ()
        findings = list(antibodies.audit(identities=identities, numbering=False).findings)
        caption = "Checks of the data. ! marks findings that make scores wrong or optimistic."
        if training is not None and training.reading.same_part(antibodies.reading):
            shared = training.audit(antibodies, identities=(0.9,), numbering=False)
            findings += [finding for finding in shared.findings if "both" in finding.check]
            caption += " Checks of both compare this set with the training set."
        name = f"{_source(grid, antibodies)}: {len(antibodies):,} antibodies"
        parts.append(
            f"<h3>{html.escape(name)}</h3>"
            + elements.table(["", "", "", ""], list(map(_finding, findings)), caption, last="text audit")
        )
    return [Part("The data", "".join(parts))]


def _finding(finding: Finding) -> tuple[str, list[str]]:
    mark = "! " if finding.serious and finding.count else ""
    detail = finding.detail if finding.count else ""
    kind = "serious" if mark else ""
    return kind, [
        mark + html.escape(finding.check),
        f"{finding.count:,}",
        html.escape(finding.units),
        html.escape(detail),
    ]


def provenance(grid: GridAnalysis, figures: panels.Figures) -> list[Part]:
    """Return origin, citations, counts and digests of every data set, and the versions."""
    parts = []
    for data, _ in _sets(grid, training=True):
        origin = data.provenance
        source = None if data.recipe is None else data.recipe.options.get("source")
        licence = licences.of_data(origin.licence, source)
        facts = {"rule": origin.rule, "citation": origin.citation, "licence": licence}
        facts |= {name: f"{count:,}" for name, count in origin.counts.items()}
        facts |= {f"left out: {reason}": f"{count:,}" for reason, count in origin.reasons().items()}
        facts |= {"part": str(data.reading), "digest": data.digest}
        digests = f"<details><summary>SHA-256 of its files</summary>{elements.facts(origin.sha256)}</details>"
        parts.append(
            f"<h3>{html.escape(_source(grid, data))}</h3>{elements.facts(facts)}{digests if origin.sha256 else ''}"
        )
    opened = {column.title: column.first.openings for column in grid.columns if column.first.openings is not None}
    openings = {title: f"opened {'once' if n == 1 else f'{n} times'}" for title, n in opened.items()}
    models = dict.fromkeys(model for _, report in grid.named for model in models_of(report.spec.extractor))
    weights = {f"weights of {model}": licences.of_weights(licences.WEIGHTS.get(model)) for model in models}
    body = (
        "".join(parts)
        + (f"<h3>Licences of language models</h3>{elements.facts(weights)}" if weights else "")
        + (f"<h3>Tests</h3>{elements.facts(openings)}" if openings else "")
        + f"<h3>Versions</h3>{elements.facts(reproduction.versions())}"
    )
    return [Part("Provenance and versions", body)]


def _source(grid: GridAnalysis, data: Dataset) -> str:
    """Return the source of a data set, with its label if there are several."""
    label = f", {data.label_name}" if grid.labels and data.label_name else ""
    return f"{data.provenance.source}{label}"


def reproduce(grid: GridAnalysis, figures: panels.Figures) -> list[Part]:
    """Return the lines that reproduce every report."""
    parts = []
    for name, report in grid.named:
        heading = "" if len(grid.reports) == 1 else f"<h3>{html.escape(name)}</h3>"
        words, python = reproduction.command_of(report), reproduction.python(report)
        command = f"<pre><code>{html.escape(words)}</code></pre>" if words else ""
        spec = json.dumps(json.loads(report.spec.model_dump_json()), indent=2)
        prints = {"fingerprint of the training": report.spec.fingerprint}
        parts.append(
            f"{heading}{command}<pre><code>{html.escape(python)}</code></pre>{elements.facts(prints)}"
            f"<details><summary>The whole specification</summary><pre><code>{html.escape(spec)}</code></pre></details>"
        )
    text = (
        "With the versions above and the data of these digests, the lines below reproduce the numbers. On another "
        "machine, the last digits may differ. Tables are named as they were passed to load_dataset; of an absolute "
        "path, only the name of the file is written."
    )
    if any(reproduction.OPEN in (reproduction.command_of(report) or "").split() for report in grid.reports):
        text += (
            " In the command, <code>data=...</code> stands for the data set or table; it fails until it is completed."
        )
    if not all(report.is_cross_validation for report in grid.reports):
        text += " A test has no command, since antibody-train tests on no second data set."
    return [Part("How to reproduce it", f"<p>{text}</p>{''.join(parts)}")]


def _sets(grid: GridAnalysis, *, training: bool = False) -> list[tuple[Dataset, Analysis]]:
    """Return the data sets, each once, with the first report of each; training sets of tests too on demand."""
    sets: dict[str, tuple[Dataset, Analysis]] = {}
    for column in grid.columns:
        for report in column.reports.values():
            if training and report.training is not None:
                sets.setdefault(report.training.digest, (report.training, report))
            sets.setdefault(report.data.digest, (report.data, report))
    return list(sets.values())
