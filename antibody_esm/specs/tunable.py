"""Language models that can be fine-tuned, and the reasons for which others cannot."""

from antibody_esm.specs.ensembles import AnyExtractorSpec, language_models, without_columns
from antibody_esm.specs.extractors import ExtractorSpec
from antibody_esm.specs.finetuning import FineTuneSpec

_OWN_NETWORK = ("ablang2", "ablang2_vl")


def only_model(extractor: AnyExtractorSpec) -> ExtractorSpec:
    """Return the language model of an extractor. Raises ValueError if there is none, or several."""
    model = without_columns(extractor)
    if isinstance(model, ExtractorSpec):
        return model
    number = len(language_models(model))
    there = "and descriptors have none" if not number else "and this extractor has other parts" if number == 1 else ""
    raise ValueError(f"finetune needs one language model, {there or f'and this extractor has {number}'}")


def refuse_unsuited(spec: FineTuneSpec, extractor: ExtractorSpec) -> None:
    """Raise ValueError for an extractor that cannot be fine-tuned; no file is read."""
    if extractor.adapter is not None:
        raise ValueError("the extractor has an adapter already; fine-tune the frozen model: adapter=None")
    if extractor.random_weights is not None:
        raise ValueError("finetune begins with trained weights; leave random_weights out")
    if extractor.model in _OWN_NETWORK:
        raise ValueError("finetune updates models of transformers; AbLang-2 has a network of its own")
    if extractor.pooling != "mean":
        raise ValueError(
            f"finetune.pooling is {spec.pooling}, and the extractor has pooling={extractor.pooling!r}; leave "
            "extractor.pooling out"
        )
