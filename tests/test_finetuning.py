"""Fine-tuning of tiny models, each of another family, with every setting of an extractor."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from antibody_esm import Extractor, ExtractorSpec, FineTuneSpec, RuntimeSpec
from antibody_esm.errors import CheckpointError, SequenceError
from antibody_esm.plm import lora
from antibody_esm.plm.adapters import PREFIX, Adapter
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.families import family_of
from antibody_esm.plm.finetuning import adapted
from antibody_esm.plm.heads import Head
from antibody_esm.plm.weights import read_weights
from antibody_esm.testing import Kind
from trainings import ALL_MAPS, ALONE, FAST, HEAVY, LABEL, LIGHT, TEXTS, UPDATED, checkpoint, of_any_epoch, texts, tuned

OF_PEFT = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # it calls transformers so


@OF_PEFT
@pytest.mark.parametrize("kind", UPDATED)
def test_updates_are_those_of_peft(kind: Kind) -> None:
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    spec = FAST.model_copy(update={"modules": ALL_MAPS, "epochs": 1, "patience": 5})
    adapter = of_any_epoch(tuned(spec, kind))
    files = locate(checkpoint(kind))
    family = family_of(files)

    def module() -> Any:
        return read_weights(files, family.model_class, torch.float32, **dict(family.model_options))[0].eval()

    ours = module()
    lora.merge(files, ours, adapter)
    config = LoraConfig(r=spec.rank, lora_alpha=spec.alpha, target_modules=list(adapter.updates))
    theirs = get_peft_model(module(), config)
    tensors = {name: torch.from_numpy(tensor.copy()) for name, tensor in adapter.tensors.items()}
    result = set_peft_model_state_dict(theirs, tensors)
    assert not result.unexpected_keys
    merged = theirs.merge_and_unload().state_dict()
    frozen = module().state_dict()
    assert merged.keys() == ours.state_dict().keys()
    for name, weight in ours.state_dict().items():
        assert torch.allclose(weight, merged[name], rtol=0, atol=1e-6), name
        updated = name.removesuffix(".weight") in adapter.updates
        assert torch.equal(weight, frozen[name]) != updated, name


def test_every_linear_map_of_a_layer_has_a_name() -> None:
    for kind in UPDATED:
        files = locate(checkpoint(kind))
        family = family_of(files)
        module, _ = read_weights(files, family.model_class, torch.float32, **dict(family.model_options))
        every = {name for name, part in module.named_modules() if type(part) is torch.nn.Linear}
        inside = {name for name in every if name.startswith(f"{family.layers}.")}
        spec = FAST.model_copy(update={"modules": ALL_MAPS})
        assert set(lora.targets(files, module, spec, files.layers)) == inside


@OF_PEFT
@pytest.mark.parametrize("kind", UPDATED)
@pytest.mark.parametrize("spec", [FAST, FAST.model_copy(update={"pooling": "attention", "layers": 1})])
def test_vectors_are_those_of_the_training(kind: Kind, spec: FineTuneSpec) -> None:
    # The loss of the kept epoch is that of a head on the embedded vectors; here, vectors of both paths are compared.
    adapter = of_any_epoch(tuned(spec, kind))
    extractor = ExtractorSpec(model=checkpoint(kind))
    assert np.allclose(
        Extractor(adapted(extractor, adapter)).embed(TEXTS), by_peft(adapter, extractor, TEXTS), atol=1e-4
    )


def by_peft(adapter: Adapter, extractor: ExtractorSpec, rows: Sequence[str]) -> NDArray[np.float32]:
    """Return vectors of a model with updates beside its weights, one sequence at a time, in a few plain lines."""
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    files = locate(extractor.model)
    family = family_of(files)
    module, _ = read_weights(files, family.model_class, torch.float32, **dict(family.model_options))
    config = LoraConfig(
        r=adapter.facts.spec.rank, lora_alpha=adapter.facts.spec.alpha, target_modules=[*adapter.updates]
    )
    model = get_peft_model(module, config).eval()
    tensors = {name: torch.from_numpy(tensor.copy()) for name, tensor in adapter.tensors.items()}
    set_peft_model_state_dict(model, {name: tensor for name, tensor in tensors.items() if name.startswith(PREFIX)})
    vocabulary = Extractor(extractor).vocabulary
    vectors = []
    for text in rows:
        with torch.no_grad():
            states = model(input_ids=torch.from_numpy(vocabulary.encode([text]))).last_hidden_state[0]
        states = states[len(vocabulary.prefix) : len(states) - len(vocabulary.suffix)]
        weights = torch.ones(len(states))
        if adapter.pooling is not None:
            weights = torch.exp(states @ tensors["pooling.weight"] - (states @ tensors["pooling.weight"]).max())
        vectors.append((states * weights[:, None]).sum(0) / weights.sum())
    return np.stack([vector.numpy() for vector in vectors])


@pytest.mark.parametrize("kind", [*UPDATED, *ALONE])
def test_a_row_has_the_same_bits_in_any_batch(kind: Kind) -> None:
    method = "lora" if kind in UPDATED else "head"
    adapter = tuned(FAST.model_copy(update={"pooling": "attention", "method": method}), kind)
    extractor = adapted(ExtractorSpec(model=checkpoint(kind)), of_any_epoch(adapter))
    rows = [text for length in (*range(2, 70, 3), 121, 122) for text in texts(2, length, length, length + 1)]
    together = Extractor(extractor, RuntimeSpec(workers=2)).embed(rows)
    alone = Extractor(extractor, RuntimeSpec(workers=1))
    assert np.array_equal(alone.embed(rows[::-1])[::-1], together)
    for row in range(0, len(rows), 5):
        assert np.array_equal(alone.embed([rows[row]])[0], together[row]), rows[row]


def mutants(chain: str, n: int, seed: int = 0) -> list[str]:
    """Return chains with two other residues in CDR1."""
    numbers = np.random.default_rng(seed)
    every = [list(chain) for _ in range(n)]
    for residues in every:
        for place in numbers.choice(np.arange(27, 33), 2, replace=False):
            residues[place] = str(numbers.choice(list("ADEFGHKLMNPQRSTVWY")))
    return ["".join(residues) for residues in every]


HEAVIES, LIGHTS = mutants(HEAVY, 24), mutants(LIGHT, 24, 1)
PAIRS = [f"{heavy}|{light}" for heavy, light in zip(HEAVIES, LIGHTS, strict=True)]
SETTINGS: dict[str, tuple[Kind, list[str], dict[str, Any]]] = {
    "an inner layer": ("esm", TEXTS, {"layer": 1}),
    "a region": ("esm", HEAVIES, {"region": "cdr1"}),
    "a region of pairs": ("bert", PAIRS, {"region": "cdrs", "pairs": "joined"}),
    "pairs apart": ("bert", PAIRS, {}),
    "pairs joined": ("bert", PAIRS, {"pairs": "joined"}),
    "pairs joined by tokens": ("esm", PAIRS, {"pairs": "joined", "separator": "<eos><cls>"}),
    "regions of pairs apart": ("esm", PAIRS, {"region": "frameworks"}),
    "tokens around": ("esm", TEXTS, {"special_tokens": "include"}),
    "tokens around a pair": ("bert", PAIRS, {"special_tokens": "include", "pairs": "joined"}),
    "control tokens": ("prostt5", TEXTS, {"prefix": "<AA2fold>"}),
    "cut sequences": ("esm", TEXTS, {"truncation": True, "max_length": 10}),
    "eight bits": ("esm", TEXTS, {"precision": "int8"}),
    "half precision": ("esm", TEXTS, {"precision": "bfloat16", "storage": "float16"}),
    "half precision of T5": ("prott5", TEXTS, {"precision": "bfloat16"}),
    "rows of eight bits": ("roformer", TEXTS, {"storage": "int8"}),
}


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_of_an_extractor_is_fine_tuned(name: str, pooling: str) -> None:
    kind, rows, fields = SETTINGS[name]
    spec = FAST.model_copy(update={"pooling": pooling, "epochs": 1})
    adapter = of_any_epoch(tuned(spec, kind, rows, **fields))
    frozen = ExtractorSpec(model=checkpoint(kind), **fields)
    vectors, others = (Extractor(each).embed(rows[:4]) for each in (adapted(frozen, adapter), frozen))
    assert vectors.shape == others.shape
    assert not np.isclose(vectors, others, atol=1e-3).all()
    plain = frozen.model_copy(update={"precision": "float32", "storage": "float32"})
    exact = Extractor(adapted(plain, adapter)).embed(rows[:4])
    assert np.allclose(vectors, exact, atol=0.05 * np.abs(exact).max() if frozen != plain else 0)
    if spec.pooling == "attention":
        head = FineTuneSpec(method="head", pooling="attention", epochs=1, learning_rate=0.1)
        assert Extractor(adapted(frozen, tuned(head, kind, rows, **fields))).embed(rows[:4]).shape == vectors.shape


@pytest.mark.parametrize(
    "name", ["a region", "a region of pairs", "tokens around a pair", "cut sequences", "pairs apart"]
)
@pytest.mark.parametrize("method", ["lora", "head"])
def test_the_loss_pools_the_tokens_that_the_extractor_pools(name: str, method: str) -> None:
    # Before the first epoch the vectors of the training are those of the frozen extractor, and so is the loss.

    kind, rows, fields = SETTINGS[name]
    label = (np.arange(len(rows)) % 3 == 0).astype(int)
    pooling = "attention" if method == "head" else "mean"
    spec = FAST.model_copy(update={"epochs": 1, "method": method, "pooling": pooling})
    heads: list[NDArray[np.float64]] = []
    plain = Head.__init__

    def noted(head: Head, vectors: Any, *arguments: Any) -> None:
        heads.append(vectors.numpy().copy())
        plain(head, vectors, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Head, "__init__", noted)
        tuned(spec, kind, rows, label, **fields)
    expected = Extractor(ExtractorSpec(model=checkpoint(kind), **fields)).embed(rows)
    order = sorted(range(len(rows)), key=lambda row: (rows[row], label[row]))
    assert np.allclose(heads[0], expected[order], atol=1e-5)


def test_views_of_a_fine_tuned_model_come_from_one_pass() -> None:
    adapter = of_any_epoch(tuned(FAST.model_copy(update={"pooling": "attention"})))
    spec = adapted(ExtractorSpec(model=checkpoint("esm")), adapter)
    views = spec.views([2], ["mean", "std", "attention"]) + spec.views([1], ["mean", "max"])
    extractor = Extractor(spec)
    [(indices, rows)] = list(extractor.stream_views(TEXTS[:1], [view.resolve() for view in views]))
    assert indices == [0]
    for view, vector in zip(views, rows, strict=True):
        assert np.array_equal(vector, Extractor(view).embed(TEXTS[:1]))
    [inner] = spec.views([1], ["attention"])
    with pytest.raises(CheckpointError, match="has the pooling of layer 2, and pooling='attention' reads layer 1"):
        Extractor(inner).embed(TEXTS)
    mean = adapted(ExtractorSpec(model=checkpoint("esm")), tuned())
    with pytest.raises(CheckpointError, match="has no pooling"):
        Extractor(mean.model_copy(update={"pooling": "attention"})).embed(TEXTS)


def test_states_are_computed_again_where_memory_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    from antibody_esm.plm.recomputation import Recomputed

    passes: list[bool] = []
    plain = Recomputed.forward

    def noted(layer: Recomputed, *states: Any, **named: Any) -> Any:
        layer.layer.register_forward_pre_hook(lambda *_: passes.append(True), with_kwargs=False)
        return plain(layer, *states, **named)

    monkeypatch.setattr(Recomputed, "forward", noted)
    saved = tuned(runtime=RuntimeSpec(gradient_checkpointing=True))
    assert passes
    assert saved.content == tuned().content


@pytest.mark.parametrize("kind", UPDATED)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_states_below_the_first_updated_layer_are_computed_once(
    kind: Kind, checkpointing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, runtime = FAST.model_copy(update={"layers": 1}), RuntimeSpec(gradient_checkpointing=checkpointing)
    kept = tuned(spec, kind, runtime=runtime)
    assert all(re.search(r"(layers?|block)\.1\.", name) for name in kept.updates)
    monkeypatch.setattr("antibody_esm.plm.training._KEPT", 0)
    every = tuned(spec, kind, runtime=runtime)
    assert every.updates.keys() == kept.updates.keys()
    assert every.facts.epochs == kept.facts.epochs
    for name, tensor in kept.tensors.items():
        assert np.allclose(tensor, every.tensors[name], atol=1e-4), name
    monkeypatch.undo()
    assert tuned(spec, kind).content == kept.content


@pytest.mark.parametrize("kind", ALONE)
def test_models_whose_maps_have_no_names_are_refused(kind: Kind) -> None:
    with pytest.raises(CheckpointError, match="method='head' trains the weights of the pooling alone"):
        tuned(kind=kind)
    head = tuned(FineTuneSpec(method="head", pooling="attention", epochs=1), kind)
    assert not head.updates


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "one class": ({"label": np.ones(24)}, "two labels that differ"),
    "three classes": ({"label": np.arange(24) % 3}, "0 and 1 for classes"),
    "labels that are missing": ({"label": np.full(24, np.nan)}, "labels are finite"),
    "fewer labels": ({"label": LABEL[:3]}, "24 texts need as many labels"),
    "fewer units": ({"units": LABEL[:3]}, "24 texts need as many labels"),
    "another pooling": ({"pooling": "max"}, "finetune.pooling is mean, and the extractor has pooling='max'"),
    "random weights": ({"random_weights": 1}, "begins with trained weights"),
    "an adapter": ({"adapter": "1" * 64}, "has an adapter already"),
    "some pairs": ({"rows": [*TEXTS[:23], "EVQ|DIQ"]}, "some rows are pairs"),
    "layer 0": ({"layer": 0}, "layer 0 has no linear maps"),
    "a layer above": ({"layer": 1, "spec": FAST.model_copy(update={"layers": (1, 2)})}, "layer 2 cannot be updated"),
    "a long sequence": ({"rows": [*TEXTS[:23], "DEVQ" * 300]}, "1200 residues, at most 1022 are allowed"),
    "no amino acid": ({"rows": [*TEXTS[:23], "EV9"]}, "9"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_suit_is_refused(name: str) -> None:
    fields, message = REFUSED[name]
    with pytest.raises((ValueError, CheckpointError, SequenceError), match=message):
        tuned(**fields)
