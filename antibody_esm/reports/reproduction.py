"""Lines of Python and of the shell that reproduce an analysis, and the versions that they need."""

import json
import platform
import re
import shlex
from importlib.metadata import version
from typing import Any

from antibody_esm import presets
from antibody_esm.data.column_reading import columns_read
from antibody_esm.data.dataset import Dataset
from antibody_esm.reports import names
from antibody_esm.reports.analysis import Analysis
from antibody_esm.specs import DescriptorSpec, ExtractorSpec, Spec, TrainSpec
from antibody_esm.specs.ensembles import columns_of, without_columns

_VERSIONS = ("antibody_esm", "numpy", "scikit-learn", "scipy", "torch", "transformers", "xgboost")


def versions() -> dict[str, str]:
    """Return the versions of Python and of libraries that can change a number."""
    return {"python": platform.python_version()} | {name: version(name) for name in _VERSIONS}


def python(report: Analysis) -> str:
    """Return the lines of Python that reproduce the numbers from the data."""
    scored = ("data", report.source, report.data.digest)
    if report.is_cross_validation:
        return _python(report.spec, [scored], "report = trainer.cross_validate(data)")
    training = report.training
    fitted = ("training", *(("", "") if training is None else (training.provenance.source, training.digest)))
    cut = "" if report.threshold is None else f", threshold={report.threshold!r}"
    return _python(report.spec, [fitted, scored], f"report = trainer.fit(training).evaluate(data{cut})")


def _python(spec: TrainSpec, sets: list[tuple[str, str, str]], last: str) -> str:
    imported = sorted({"TrainSpec", "Trainer", "load_dataset", *re.findall(r"\b(\w+Spec)\(", repr(spec))})
    lines = [f"from antibody_esm import {', '.join(imported)}", ""]
    for name, source, digest in sets:
        lines.append(f"{name} = load_dataset(...)" + (f"  # {' '.join(source.split())}" if source else ""))
        lines += [f'assert {name}.digest == "{digest}"'] if digest else []
    lines.append(f'trainer = Trainer.from_spec({spec!r}, store="embeddings/")')
    return "\n".join([*lines, last])


def command(spec: TrainSpec, data: Dataset | None = None) -> str | None:
    """Return the command that trains the same pipeline; None if overrides cannot express it.

    Columns are those of the data, which ``data.columns`` names.
    """
    columns = columns_of(spec.extractor)
    plain = spec.model_copy(update={"extractor": without_columns(spec.extractor)})
    words = overrides(plain)
    if words is None or (columns and (data is None or columns_read(plain, data.columns) != columns)):
        return None
    named = [column.name for column in columns]
    if not all(map(_is_plain, named)):
        return None
    return shlex.join(["antibody-train", *words, *([f"data.columns={_value(named)}"] if named else [])])


def overrides(spec: TrainSpec) -> list[str] | None:
    """Return the overrides of ``antibody-train`` that give a spec; None if they cannot express it."""
    extractor = spec.extractor
    name = next((name for name, preset in presets.EXTRACTORS.items() if names.agree(preset, extractor)), None)
    if name is not None:
        model = [f"model={name}", *_fields("extractor", extractor, presets.EXTRACTORS[name])]
    elif isinstance(extractor, ExtractorSpec) and _is_plain(extractor.model):
        model = _fields("extractor", extractor, ExtractorSpec(model="any"))
    elif isinstance(extractor, DescriptorSpec):
        model = ["model=descriptors", *_fields("extractor", extractor, DescriptorSpec())]
    else:
        return None
    if not spec.use_columns:
        model.append("use_columns=false")
    chosen = spec.classifier.kind
    learnt = [f"classifier={chosen}", *_fields("classifier", spec.classifier, presets.ESTIMATORS[chosen])]
    others = [
        override
        for field in TrainSpec.model_fields
        if field not in ("extractor", "classifier", "use_columns", "format")
        for override in _fields(field, getattr(spec, field), type(getattr(spec, field))())
    ]
    return [*model, *learnt, *others]


def _is_plain(text: str) -> bool:
    """Return True if overrides can spell a text."""
    return re.fullmatch(r"[ -~]+", text) is not None and not set("\"'\\$") & set(text)


def _fields(branch: str, spec: Spec, default: Spec) -> list[str]:
    changed = [name for name in type(spec).model_fields if getattr(spec, name) != getattr(default, name)]
    values = spec.model_dump(mode="json")
    return [f"{branch}.{name}={_value(values[name])}" for name in changed if name not in ("kind", "format")]


def _value(value: Any) -> str:
    """Return a value as overrides spell it, nearly as JSON."""
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_value(inner)}" for name, inner in value.items() if name != "format") + "}"
    plain = (
        isinstance(value, str)
        and re.fullmatch(r"[a-z]\w*", value)
        and value not in ("null", "true", "false", "nan", "inf")
    )
    return value if plain else json.dumps(value, ensure_ascii=False)
