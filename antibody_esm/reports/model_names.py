"""Names of tested models, of which a grid may have several of one pipeline."""

from collections.abc import Sequence

from antibody_esm.evaluation.interval import compact
from antibody_esm.reports import names
from antibody_esm.reports.analysis import Analysis


def trained_on(report: Analysis, reports: Sequence[Analysis]) -> str:
    """Return the training antibodies of a test in words; empty if all models of its label and part have the same."""
    if report.is_cross_validation:
        return ""
    rivals = [
        other
        for other in reports
        if not other.is_cross_validation
        and other.data.label_name == report.data.label_name
        and other.data.reading.title == report.data.reading.title
    ]
    words = {_training(other): _trained_on(other) for other in rivals}
    return "" if len(words) == 1 else _distinct(words, _training(report))


def of_model(report: Analysis, alike: Sequence[Analysis]) -> list[str]:
    """Return what distinguishes a tested model from others of its pipeline, beside their training antibodies.

    Parameters
    ----------
    alike
        All analyses of the pipeline.
    """
    parts = []
    again = report.recalibration
    if again is not None:
        others = [other.recalibration for other in alike if other.recalibration is not None]
        parts.append(
            _distinct({each.digest: names.recalibrated(each.antibodies, each.source) for each in others}, again.digest)
        )
        cuts = {each.threshold for each in others if each.digest == again.digest}
        if len(cuts) > 1 and again.threshold is not None and report.threshold is None:
            parts.append(f"threshold {compact(again.threshold)}")
    same_data = [other for other in alike if other.data.digest == report.data.digest and not other.is_cross_validation]
    if report.threshold is not None and len({other.threshold for other in same_data}) > 1:
        parts.append(f"threshold {compact(report.threshold)}")
    return parts


def _training(report: Analysis) -> str:
    """Return the digest of the training antibodies; empty if they are unknown."""
    if report.model is not None:
        return report.model.digest
    return "" if report.training is None else report.training.digest


def _trained_on(report: Analysis) -> str:
    if report.model is not None:
        number, source = report.model.antibodies, report.model.source
    elif report.training is not None:
        number, source = len(report.training), report.training.provenance.source
    else:
        return "trained on unknown antibodies"
    return f"trained on {names.counted(number, 'antibody')} of {names.short_source(source)}"


def _distinct(words: dict[str, str], digest: str) -> str:
    """Return the words of a digest, with its first digits if another one has the same words."""
    return words[digest] if list(words.values()).count(words[digest]) == 1 else f"{words[digest]} ({digest[:8]})"
