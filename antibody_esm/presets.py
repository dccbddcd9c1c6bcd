"""Named specs of language models, classifiers and regressors."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from antibody_esm.choices import DEFAULT_CLASSIFIER as DEFAULT_CLASSIFIER
from antibody_esm.choices import DEFAULT_EXTRACTOR as DEFAULT_EXTRACTOR
from antibody_esm.errors import PluginError
from antibody_esm.plugins import Plugin, PluginKind, named, offered_names
from antibody_esm.specs.base import Spec
from antibody_esm.specs.chains import ChainSpec
from antibody_esm.specs.descriptors import DescriptorSpec
from antibody_esm.specs.ensembles import AnyExtractorSpec, EnsembleSpec
from antibody_esm.specs.estimators import ClassifierSpec, RegressorSpec
from antibody_esm.specs.extractors import ExtractorSpec
from antibody_esm.specs.finetuning import FINE_TUNINGS as FINE_TUNINGS
from antibody_esm.specs.finetuning import FineTuneSpec
from antibody_esm.specs.language_models import LANGUAGE_MODELS
from antibody_esm.specs.named import CLASSIFIERS as CLASSIFIERS
from antibody_esm.specs.named import ESTIMATORS as ESTIMATORS
from antibody_esm.specs.named import REGRESSORS as REGRESSORS
from antibody_esm.specs.named import estimator
from antibody_esm.specs.plugins import PluginClassifierSpec, PluginExtractorSpec, PluginRegressorSpec
from antibody_esm.spelling import did_you_mean

EXTRACTORS: MappingProxyType[str, AnyExtractorSpec] = MappingProxyType(
    {
        **LANGUAGE_MODELS,
        "esm1v_mean": EnsembleSpec(members=tuple(LANGUAGE_MODELS[f"esm1v_{seed}"] for seed in range(1, 6))),
        "sapiens": ChainSpec(heavy="sapiens_vh", light="sapiens_vl"),
        "descriptors": DescriptorSpec(),
    }
)
"""Language models by name."""
TRAINED_ON_PAIRS = frozenset({"Exscientia/IgBert", "Exscientia/IgT5", "ollieturnbull/p-IgGen", "ablang2", "ablang2_vl"})
"""Language models that were trained on pairs of chains, among those with a name."""
CAUSAL = frozenset({"ollieturnbull/p-IgGen"})
"""Language models that read from left to right only, among those with a name."""

_ON_THE_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""Name of a model with its organisation."""
_PLUGINS: Mapping[str, PluginKind] = {"extractor": "extractor", "classifier": "classifier"}
"""Groups of presets that plugins add names to."""
_S = TypeVar("_S", bound=Spec)


def extractor(choice: str | Path | AnyExtractorSpec) -> AnyExtractorSpec:
    """Return the spec of a preset's name, a model's name on the hub, a local folder, or a spec as it is.

    A name with an organisation, such as ``"facebook/esm2_t6_8M_UR50D"``, is the preset that stands for this model, if
    there is one, with the control tokens that its authors write; else an `ExtractorSpec` with its defaults.

    Raises
    ------
    ValueError
        If there is no preset of this name; the message lists the presets.

    Examples
    --------
    >>> extractor("facebook/esm2_t6_8M_UR50D") == EXTRACTORS["esm2_8m"]
    True
    >>> extractor("somebody/another_model")
    ExtractorSpec(model='somebody/another_model')
    """
    if isinstance(choice, Path) or (isinstance(choice, str) and Path(choice).is_dir() and choice not in EXTRACTORS):
        return ExtractorSpec(model=str(choice))
    if (spec := on_the_hub(choice)) is not None:
        return spec
    if isinstance(choice, str) and named("extractor", choice) is not None:
        return PluginExtractorSpec.of(choice)
    otherwise = "an organisation/name of the hub, a folder, or ExtractorSpec(model=...) for any other model"
    kinds = (ExtractorSpec, ChainSpec, EnsembleSpec, DescriptorSpec, PluginExtractorSpec)
    return _choose(choice, EXTRACTORS, kinds, "extractor", otherwise)


def on_the_hub(choice: object) -> ExtractorSpec | None:
    """Return the spec of a model's name with its organisation, see `extractor`; None for any other text."""
    if not isinstance(choice, str) or not _ON_THE_HUB.fullmatch(choice):
        return None
    named = (spec for spec in LANGUAGE_MODELS.values() if spec.model == choice)
    return next(named, None) or ExtractorSpec(model=choice)


def one_model(choice: str | Path | AnyExtractorSpec) -> ExtractorSpec:
    """Return the spec of one language model from a preset's name, a local folder, or a spec.

    Raises
    ------
    ValueError
        If it is not one language model, or there is no preset of this name.
    """
    chosen = extractor(choice)
    if not isinstance(chosen, ExtractorSpec):
        raise ValueError(f"{choice} is an ensemble, descriptors or one model a chain; one language model is required")
    return chosen


def classifier(
    choice: str | ClassifierSpec | RegressorSpec, extractor: AnyExtractorSpec | None = None
) -> ClassifierSpec | RegressorSpec:
    """Return the spec of a classifier or regressor from a preset's name, or a spec as it is.

    Parameters
    ----------
    choice
        Name or spec.
    extractor
        Extractor whose features are read. Descriptors have many units, so a preset that depends on the scale of
        features standardizes them.

    Raises
    ------
    ValueError
        If there is no preset of this name; the message lists the presets.

    Examples
    --------
    >>> classifier("logreg", DescriptorSpec())
    LogisticRegressionSpec(standardize=True)
    >>> classifier(CLASSIFIERS["logreg"], DescriptorSpec())
    LogisticRegressionSpec()
    """
    if isinstance(choice, str) and (plugin := named("classifier", choice)) is not None:
        return plugin_estimator(plugin)
    spec = _choose(choice, ESTIMATORS, Spec, "classifier", "or a classifier spec")
    if isinstance(choice, str):
        return estimator(choice, extractor)
    return spec  # type: ignore[return-value]  # any spec passes here, and TrainSpec refuses others


def plugin_estimator(plugin: Plugin) -> PluginClassifierSpec | PluginRegressorSpec:
    """Return the spec of a plugin's classifier or regressor, whose package is imported to learn which of them it is.

    Raises
    ------
    PluginError
        If it cannot be imported or constructed.
    """
    from sklearn.base import is_regressor

    made = plugin.make({})
    if not hasattr(made, "fit"):
        raise PluginError(f"{plugin} is no estimator of scikit-learn", plugin.package)
    kind = PluginRegressorSpec if is_regressor(made) else PluginClassifierSpec
    return kind(name=plugin.name, package=plugin.package, version=plugin.version)


def finetuning(choice: str | FineTuneSpec | None) -> FineTuneSpec | None:
    """Return the spec of a preset's name, or a spec as it is; None fine-tunes nothing.

    Raises ValueError if there is no preset of this name; the message lists the presets.
    """
    return None if choice is None else _choose(choice, FINE_TUNINGS, FineTuneSpec, "finetune", "or a FineTuneSpec")


def _choose(
    choice: object,
    presets: MappingProxyType[str, _S],
    kind: type[_S] | tuple[type[_S], ...],
    group: str,
    otherwise: str,
) -> _S:
    if isinstance(choice, kind):
        return choice
    if isinstance(choice, str) and choice in presets:
        return presets[choice]
    on_hub = [spec.model for spec in presets.values() if isinstance(spec, ExtractorSpec)]
    offered = offered_names(_PLUGINS[group]) if group in _PLUGINS else ()
    meant = did_you_mean(choice, [*presets, *on_hub, *offered])
    raise ValueError(f"unknown {group} {choice!r}; choose one of {', '.join([*presets, *offered])}, {otherwise}{meant}")


def __getattr__(name: str) -> Any:
    """Return the type under its earlier name, for one release."""
    if name == "AnyExtractor":
        warnings.warn("presets.AnyExtractor is specs.AnyExtractorSpec now", DeprecationWarning, stacklevel=2)
        return AnyExtractorSpec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
