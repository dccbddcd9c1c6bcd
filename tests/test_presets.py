from pathlib import Path

import pytest

from antibody_esm import (
    Benchmark,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    LogisticRegressionSpec,
    SVRSpec,
    Trainer,
    TrainSpec,
    XGBoostSpec,
    choices,
    presets,
)
from antibody_esm.specs.estimators import heads_of


def test_the_names_in_texts_of_help_are_those_of_the_presets() -> None:
    assert tuple(presets.EXTRACTORS) == choices.MODELS
    assert tuple(presets.ESTIMATORS) == choices.CLASSIFIERS


@pytest.mark.parametrize(
    "name",
    [
        *("esm1v", "esm1v_1", "esm1v_2", "esm1v_3", "esm1v_4", "esm1v_5"),
        *("esm2_8m", "esm2_35m", "esm2_150m", "esm2_650m", "esm2_3b", "antiberty", "antiberta2", "protbert"),
        *("sapiens_vh", "sapiens_vl"),
        *("esm1b", "igbert", "prott5", "ankh_base", "ankh_large"),
        *("igt5", "prostt5", "ankh3_large", "ankh3_xl", "p_iggen"),
    ],
)
def test_a_language_model_has_a_name(name: str) -> None:
    assert presets.extractor(name) == presets.EXTRACTORS[name]


def test_presets_write_what_their_authors_write_around_a_sequence() -> None:
    written = {
        name: (spec.model, spec.prefix, spec.suffix, spec.separator)
        for name, spec in presets.EXTRACTORS.items()
        if isinstance(spec, ExtractorSpec) and (spec.prefix, spec.suffix, spec.separator) != (None, None, None)
    }
    assert written == {
        "prostt5": ("Rostlab/ProstT5", "<AA2fold>", None, None),
        "ankh3_large": ("ElnaggarLab/ankh3-large", "[NLU]", None, None),
        "ankh3_xl": ("ElnaggarLab/ankh3-xl", "[NLU]", None, None),
        "p_iggen": ("ollieturnbull/p-IgGen", "1", "2", ""),
    }
    assert presets.one_model("igt5").model in presets.TRAINED_ON_PAIRS
    assert {spec.model for spec in map(presets.one_model, ["p_iggen"])} == presets.CAUSAL


def test_esm1v_is_the_first_of_five_different_checkpoints() -> None:
    assert presets.extractor("esm1v") == presets.extractor("esm1v_1")
    assert len({presets.extractor(f"esm1v_{seed}").fingerprint for seed in range(1, 6)}) == 5


def test_a_classifier_preset_is_named_by_its_kind() -> None:
    assert all(spec.kind == name for name, spec in presets.CLASSIFIERS.items())
    assert presets.classifier("xgboost") == XGBoostSpec()


@pytest.mark.parametrize("classifier", list(presets.ESTIMATORS))
def test_a_preset_standardizes_descriptors_in_python_and_in_the_command(classifier: str) -> None:
    chosen = presets.ESTIMATORS[classifier]
    descriptors, kmers = DescriptorSpec(), DescriptorSpec(descriptors=("kmers",))
    both = EnsembleSpec(members=(ExtractorSpec(model="m"), descriptors), combine="concat")
    for extractor in (descriptors, both):
        suited = presets.classifier(classifier, extractor)
        assert getattr(suited, "standardize", True)
        heads = heads_of(suited)
        assert all(getattr(head, "standardize", True) for head in heads)
        for head, before in zip(heads, heads_of(chosen), strict=True):
            assert head == before or head == before.model_copy(update={"standardize": True})
        assert presets.classifier(chosen, extractor) is chosen, "a spec is taken as it is"
        assert Trainer(extractor, classifier).spec.classifier == suited
        assert Benchmark([extractor], [classifier], "boughter_flu_cdrs").pipelines[0].classifier == suited
    for plain in (kmers, ExtractorSpec(model="m")):
        assert presets.classifier(classifier, plain) is chosen
    words = ["model=descriptors", f"classifier={classifier}"]
    assert TrainSpec.compose(words).classifier == presets.classifier(classifier, descriptors)
    assert TrainSpec.compose([*words, "extractor.descriptors=[kmers]"]).classifier == chosen
    assert TrainSpec.compose([f"classifier={classifier}"]).classifier == chosen
    if hasattr(chosen, "heads"):
        words_of_heads = (
            "classifier.heads=[{kind:logreg}]" if classifier == "average" else "classifier.heads=[{kind:svr}]"
        )
        (head,) = heads_of(TrainSpec.compose([words_of_heads, *words]).classifier)
        assert head == LogisticRegressionSpec() or head == SVRSpec(), "heads that are named are taken as they are"
    if hasattr(chosen, "standardize"):
        for value in ("true", "false"):
            spec = TrainSpec.compose([f"classifier.standardize={value}", *words]).classifier
            assert vars(spec)["standardize"] == (value == "true")


def test_specs_and_folders_are_choices_too(tmp_path: Path) -> None:
    spec, classifier = ExtractorSpec(model="m", layer=3), LogisticRegressionSpec(C=2)
    assert presets.extractor(spec) is spec
    assert presets.classifier(classifier) is classifier
    assert presets.extractor(tmp_path) == presets.extractor(str(tmp_path)) == ExtractorSpec(model=str(tmp_path))


def test_an_unknown_name_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(ValueError, match=r"unknown extractor 'esm3'; choose one of esm1v, .*protbert"):
        presets.extractor("esm3")
    with pytest.raises(ValueError, match="unknown classifier 'svm'; choose one of logreg, xgboost"):
        presets.classifier("svm")


def test_presets_cannot_be_changed_by_accident() -> None:
    with pytest.raises(TypeError):
        presets.EXTRACTORS["mine"] = ExtractorSpec(model="m")  # type: ignore[index]
