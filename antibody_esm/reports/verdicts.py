"""Sentences that a report opens with: the comparison with the best baseline, or why there is none."""

from antibody_esm.reports import names
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.grid_analysis import GridAnalysis, Verdict
from antibody_esm.unknown import Unknown

_LISTED = 5
"""Most results that a sentence lists."""


def sentence(report: Analysis) -> str:
    """Return the verdict on a report."""
    if isinstance(report.verdict, Unknown):
        return _none([report.verdict])
    return report.verdict.sentence(subject=False, test=False)


def test(report: Analysis) -> str:
    """Return the sentence on the test behind the verdict; empty if there is none."""
    if isinstance(report.verdict, Unknown):
        return ""
    words = report.verdict.test
    return f"{words[:1].upper()}{words[1:]}."


def of_grid(grid: GridAnalysis) -> str:
    """Return the verdict on several reports: the number of results that are better or worse than the best baseline."""
    compared = [each for each in grid.verdicts if each.comparison is not None]
    if not compared:
        return _none([report.verdict for report in grid.reports if isinstance(report.verdict, Unknown)])
    claims: dict[str, list[str]] = {"better": [], "worse": []}
    several = len({each.row for each in compared}) > 1
    for each in compared:
        if each.comparison is not None and each.comparison.verdict != "undecided":
            claims[each.comparison.verdict].append(_name(grid, each, several))
    sentences = [_counted(claim, cases, len(compared)) for claim, cases in claims.items() if cases or claim == "better"]
    absent = len(grid.verdicts) - len(compared)
    if absent:
        sentences.append(f"{names.counted(absent, 'result')} {'has' if absent == 1 else 'have'} no baseline.")
    return " ".join(sentences)


def _none(reasons: list[Unknown]) -> str:
    why = "; ".join(dict.fromkeys(each.reason.rstrip(".") for each in reasons)) or "none was scored on the same rows"
    return f"No verdict, since there is no baseline to compare with: {why}."


def _name(grid: GridAnalysis, verdict: Verdict, several: bool) -> str:
    """Return the name of a result among others."""
    where = verdict.label if grid.labels else verdict.column.title
    parts = len({row.fragment for row in grid.rows}) > 1
    pipeline = verdict.row.name + (f", {verdict.row.fragment}" if parts else "")
    return f"{pipeline} on {where}" if several else where


def _counted(claim: str, cases: list[str], results: int) -> str:
    if results == 1:
        return f"The only result is {claim if cases else f'not {claim}'} than the best baseline."
    number = f"{len(cases) or 'None'} of {results} results {'are' if len(cases) > 1 else 'is'}"
    listed = "; ".join(cases[:_LISTED]) + ("; ..." if len(cases) > _LISTED else "")
    return f"{number} {claim} than the best baseline{f': {listed}' if cases else ''}."
