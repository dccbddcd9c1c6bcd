"""Lines of Python and of the shell that reproduce an analysis, and the versions that they need."""

import json
import platform
import re
import shlex
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from antibody_esm import presets
from antibody_esm.data.column_reading import columns_read
from antibody_esm.data.dataset import Dataset
from antibody_esm.reports import names
from antibody_esm.reports.analysis import Analysis
from antibody_esm.specs import ChainSpec, DescriptorSpec, ExtractorSpec, FineTuneSpec, Spec, TrainSpec, TuneSpec
from antibody_esm.specs.ensembles import columns_of, without_columns
from antibody_esm.specs.plugins import plugins_of
from antibody_esm.trained_on import Recalibration

_KEYWORDS = ("null", "true", "false", "nan", "inf")
"""Words that overrides do not read as text."""
OPEN = "data=..."
"""Place in a command for data that it cannot load; ``antibody-train`` refuses it as it is."""
_VERSIONS = ("antibody_esm", "numpy", "scikit-learn", "scipy", "torch", "transformers", "xgboost")


def versions() -> dict[str, str]:
    """Return the versions of Python and of libraries that can change a number."""
    return {"python": platform.python_version()} | {name: version(name) for name in _VERSIONS}


def python(report: Analysis) -> str:
    """Return the lines of Python that reproduce the numbers from the data."""
    scored = [f"data = {_loaded(report.data)}", _checked("data", report.data.digest)]
    if report.is_cross_validation:
        return _python(report.spec, scored, "report = trainer.cross_validate(data)")
    model, training = report.model, report.training
    fitted = [f"training = {_loaded(training, '' if model is None else model.source)}"]
    digest = model.digest if model is not None else None if training is None else training.digest
    fitted += [] if digest is None else [_checked("training", digest)]
    cut = "" if report.threshold is None else f", threshold={report.threshold!r}"
    lines: list[str] = []
    again = ""
    if report.recalibration is not None:
        lines, again = _recalibrated(report.recalibration)
    last = f"report = trainer.fit(training){again}.evaluate(data{cut})"
    trained = report.spec if model is None else model.pipeline(report.spec)
    return _python(trained, [*fitted, *scored], "\n".join([*lines, last]))


def _recalibrated(facts: Recalibration) -> tuple[list[str], str]:
    """Return the lines that load the antibodies of a recalibration, which a model names only, and the call."""
    loaded = _loaded(None, f"{facts.antibodies:,} antibodies of {facts.source}")
    lines = [f"recalibrating = {loaded}", _checked("recalibrating", facts.digest)]
    cut = "" if facts.threshold is None else f", threshold={facts.threshold!r}"
    return lines, f".recalibrate(recalibrating{cut})"


def _checked(name: str, digest: str) -> str:
    """Return the line that fails on other data."""
    return f'assert {name}.digest == "{digest}"'


def _python(spec: TrainSpec, sets: list[str], last: str) -> str:
    imported = sorted({"TrainSpec", "Trainer", "load_dataset", *re.findall(r"\b(\w+Spec)\(", repr(spec))})
    imports = f"from antibody_esm import {', '.join(imported)}"
    trainer = f'trainer = Trainer.from_spec({spec!r}, store="embeddings/")'
    return "\n".join([imports, "", *sets, trainer, last])


def _loaded(data: Dataset | None, source: str = "") -> str:
    """Return the call that loads a data set, as it was made; one to complete, with its source, if it is not known."""
    if data is None or data.recipe is None:
        words = " ".join((source if data is None else data.provenance.source).split())
        return f"load_dataset(...)  # {words}" if words else "load_dataset(...)"
    named = ", ".join(data.recipe.placeholders)
    return data.recipe.python + (f"  # {named}: as passed to load_dataset" if named else "")


def command_of(report: Analysis) -> str | None:
    """Return the command that gives the numbers of a cross-validation, see `command`; None for a test.

    ``antibody-train`` tests on no second data set, so no command gives the numbers of a test.
    """
    return command(report.spec, report.data) if report.is_cross_validation else None


def command(spec: TrainSpec, data: Dataset | None = None) -> str | None:
    """Return the command that cross-validates the same pipeline; None if overrides cannot express it.

    If the data have a recipe that overrides can express, the command loads them too. Else it has ``data=...``, which
    fails until the reader completes it, and ``data.columns`` names the columns that are read.
    """
    columns = columns_of(spec.extractor)
    plain = spec.model_copy(update={"extractor": without_columns(spec.extractor)})
    words = overrides(plain)
    if words is None or (columns and (data is None or columns_read(plain, data.columns) != columns)):
        return None
    named = [column.name for column in columns]
    if not all(map(_is_plain, named)):
        return None
    left = [OPEN, *([f"data.columns={_value(named)}"] if named else [])]
    if spec.is_regression and not any(word.startswith("split.") for word in words):
        words.append("split.by=antibody")  # without it, few values have a split of their own
    return shlex.join(["antibody-train", *(data_overrides(data) or left), *words])


def data_overrides(data: Dataset | None) -> list[str]:
    """Return the overrides of ``antibody-train`` that load a data set; none if its recipe cannot be expressed."""
    settings = None if data is None or data.recipe is None else data.recipe.settings
    if settings is None or not all(map(_is_plain, _texts(settings))):
        return []
    source, *others = settings.items()
    return [f"data={_word(source[1])}", *(f"data.{name}={_word(value)}" for name, value in others)]


def _texts(value: Any) -> list[str]:
    """Return all texts in a setting."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for name, each in value.items() for text in (name, *_texts(each))]
    return [text for each in value for text in _texts(each)] if isinstance(value, list) else []


def _word(value: Any) -> str:
    """Return a setting of the data as overrides spell it; plain names of files and columns need no quotes."""
    if isinstance(value, list):
        return f"[{','.join(map(_word, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{_word(name)}:{_word(each)}' for name, each in value.items())}}}"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) and value.lower() not in _KEYWORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def overrides(spec: TrainSpec) -> list[str] | None:
    """Return the overrides of ``antibody-train`` that give a spec; None if they cannot express it."""
    extractor = spec.extractor
    if plugins_of(spec):
        return None
    name = next((name for name, preset in presets.EXTRACTORS.items() if names.agree(preset, extractor)), None)
    if isinstance(extractor, ChainSpec):
        if not all(_is_plain(chain.model) for chain in extractor.models):
            return None
        model = ["model=sapiens", *_of_chain("heavy", extractor.heavy), *_of_chain("light", extractor.light)]
    elif name is not None:
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
    learnt = [f"classifier={chosen}", *_fields("classifier", spec.classifier, presets.classifier(chosen, extractor))]
    others = [
        override
        for field in TrainSpec.model_fields
        if field not in ("extractor", "classifier", "use_columns", "pca", "tune", "finetune", "format")
        for override in _fields(field, getattr(spec, field), type(getattr(spec, field))())
    ]
    others += [] if spec.pca is None else [f"pca={spec.pca}"]
    others += [] if spec.finetune is None else _finetuned(spec.finetune)
    tuned = [] if spec.tune is None else _tuned(spec.tune)
    return None if tuned is None else [*model, *learnt, *others, *tuned]


def _of_chain(chain: str, spec: ExtractorSpec) -> list[str]:
    """Return the overrides that make the preset of one model a chain read this chain by a model."""
    preset = vars(presets.EXTRACTORS["sapiens"])[chain]
    branch = f"extractor.{chain}"
    if names.agree(preset, spec):
        return _fields(branch, spec, preset)
    return _fields(branch, spec, ExtractorSpec(model="any"))


def _tuned(tune: TuneSpec) -> list[str] | None:
    """Return the overrides of a choice; None if they cannot express it, as of a classifier that has no name."""
    grid = {key: list(values) for key, values in tune.grid.items()}
    if any(isinstance(value, Spec) for values in grid.values() for value in values):
        return None
    words = ",".join(f"{key}:{_value(values)}" for key, values in grid.items())
    others = [(name, value) for name, value in tune.__repr_args__() if name != "grid"]
    return [f"tune.grid={{{words}}}", *(f"tune.{name}={_value(value)}" for name, value in others)]


def _finetuned(finetune: FineTuneSpec) -> list[str]:
    """Return the overrides of a fine-tuning: a preset, and the fields that differ from it."""
    preset = presets.FINE_TUNINGS[finetune.method]
    return [f"finetune={finetune.method}", *_fields("finetune", finetune, preset)]


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
    plain = isinstance(value, str) and re.fullmatch(r"[a-z]\w*", value) and value not in _KEYWORDS
    return value if plain else json.dumps(value, ensure_ascii=False)
