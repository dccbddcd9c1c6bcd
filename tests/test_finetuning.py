"""Fine-tuning of tiny models, each of another family."""

import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from antibody_esm import Extractor, ExtractorSpec, FineTuneSpec, RuntimeSpec, embed
from antibody_esm.errors import CheckpointError, SequenceError, StoreError
from antibody_esm.plm import lora, training_passes
from antibody_esm.plm.adapter_folders import AdapterFolder, offer
from antibody_esm.plm.adapters import PREFIX, Adapter
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.families import family_of
from antibody_esm.plm.finetuning import adapted, finetune
from antibody_esm.plm.heads import Head
from antibody_esm.plm.weights import read_weights
from antibody_esm.specs.finetuning import LinearMap
from antibody_esm.testing import Kind, tiny_checkpoint
from effort import examples

ALONE: tuple[Kind, ...] = ("gpt2", "ablang2")
"""Kinds of which the pooling alone is trained."""
UPDATED: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind not in ALONE)
"""Kinds whose linear maps are known."""
ALL_MAPS = get_args(LinearMap)
HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYY"
    "ADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAKDRLSITIRPRYYGLDVWGQGTTVTVSS"
)
LIGHT = "DIQMTQSPSSLSASVGDRVTITCRASQSISSYLNWYQQKPGKAPKLLIYAASSLQSGVPSRFSGSGSGTDFTLTISSLQPEDFATYYCQQSYSTPLTFGGGTKVEIK"
FAST = FineTuneSpec(epochs=2, rank=2, learning_rate=0.01, batch=8)


def texts(n: int = 24, seed: int = 0, shortest: int = 12, longest: int = 15) -> list[str]:
    numbers = np.random.default_rng(seed)
    letters = list("ACDEFGHIKLMNPQRSTVWY")
    return ["D" + "".join(numbers.choice(letters, numbers.integers(shortest, longest))) for _ in range(n)]


TEXTS = texts()
LABEL = np.array([text.count("W") + text.count("Y") + text.count("F") > 1 for text in TEXTS]).astype(int)


@cache
def checkpoint(kind: Kind, seed: int = 0) -> str:
    return str(tiny_checkpoint(kind, Path(mkdtemp(prefix="antibody_esm-tiny-")) / "tiny", dim=16, seed=seed))


def tuned(
    spec: FineTuneSpec = FAST,
    kind: Kind = "esm",
    rows: Sequence[str] = TEXTS,
    label: NDArray[Any] = LABEL,
    units: NDArray[Any] | None = None,
    *,
    continuous: bool = False,
    runtime: RuntimeSpec | None = None,
    folder: Path | None = None,
    **fields: Any,
) -> Adapter:
    extractor = ExtractorSpec(model=checkpoint(kind), **fields)
    return finetune(spec, extractor, rows, label, units, continuous=continuous, runtime=runtime, folder=folder)


# The adapter is added to the weights as peft adds it.
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


def of_any_epoch(adapter: Adapter) -> Adapter:
    """Return the adapter with other matrices B, since those of epoch 0 are 0."""
    numbers = np.random.default_rng(int(adapter.digest[:8], 16))
    changed = {
        name: (0.2 * numbers.standard_normal(tensor.shape)).astype(np.float32) if ".lora_B." in name else tensor
        for name, tensor in adapter.tensors.items()
    }
    adapter = Adapter(changed, adapter.facts)
    offer(adapter)
    return adapter


def test_every_linear_map_of_a_layer_has_a_name() -> None:
    for kind in UPDATED:
        files = locate(checkpoint(kind))
        family = family_of(files)
        module, _ = read_weights(files, family.model_class, torch.float32, **dict(family.model_options))
        every = {name for name, part in module.named_modules() if type(part) is torch.nn.Linear}
        inside = {name for name in every if name.startswith(f"{family.layers}.")}
        spec = FAST.model_copy(update={"modules": ALL_MAPS})
        assert set(lora.targets(files, module, spec, files.layers)) == inside


# The result depends on the rows, the spec and the model alone.


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@given(data=st.data())
@examples(16)
def test_neither_workers_nor_order_nor_threads_change_a_byte(pooling: str, data: st.DataObject) -> None:
    kinds: list[Kind] = ["esm", "bert", "esmc", "prott5", "roformer"]
    kind = data.draw(st.sampled_from(kinds))
    spec = FAST.model_copy(update={"pooling": pooling, "dropout": data.draw(st.sampled_from([0.0, 0.3]))})
    units = data.draw(st.none() | st.lists(st.integers(0, 7), min_size=24, max_size=24).map(np.array))
    if units is not None and len(set(units)) < 2:
        units[0] = 99
    first = tuned(spec, kind, units=units, runtime=RuntimeSpec(workers=1))
    order = np.array(data.draw(st.permutations(range(24))))
    other_names = None if units is None else (7 - units[order]) * 3
    runtime = RuntimeSpec(
        workers=data.draw(st.integers(2, 5)), gradient_checkpointing=data.draw(st.booleans()), batch_tokens=64
    )
    before = torch.get_num_threads()
    torch.set_num_threads(data.draw(st.sampled_from([1, 2, 3])))
    state = torch.get_rng_state()
    try:
        again = tuned(spec, kind, [TEXTS[row] for row in order], LABEL[order], other_names, runtime=runtime)
    finally:
        torch.set_num_threads(before)
    assert again.content == first.content
    assert torch.equal(torch.get_rng_state(), state), "the caller's random numbers are as they were"


def test_rows_that_are_not_trained_on_have_no_influence() -> None:
    assert tuned(rows=[*TEXTS[:20]], label=LABEL[:20]).content == tuned(rows=TEXTS[:20], label=LABEL[:20]).content
    poisoned = LABEL.copy()
    poisoned[20:] = 1 - poisoned[20:]
    assert tuned(rows=TEXTS[:20], label=poisoned[:20]).content == tuned(rows=TEXTS[:20], label=LABEL[:20]).content
    assert tuned(label=poisoned).content != tuned().content, "those that are trained on do"


def test_held_out_units_are_never_trained_on() -> None:
    # Validation labels choose the epoch and the penalty of the first head; no gradient comes from them.
    spec = FAST.model_copy(update={"epochs": 1})
    seen: list[int] = []
    plain = training_passes.vectors

    def noted(states: Any, rows: Any, weights: Any) -> Any:
        result = plain(states, rows, weights)
        if result.requires_grad and torch.is_grad_enabled():
            seen.extend(len(row) for row in rows)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("antibody_esm.plm.training.vectors", noted)
        adapter = tuned(spec, units=np.arange(24) // 3)
    assert adapter.facts.held_out == 3
    assert len(seen) == 21, "each of the others once"


@given(st.data())
@examples(150)
def test_units_are_held_out_whole_with_both_classes_if_any_allow_it(data: st.DataObject) -> None:
    from antibody_esm.plm.training_rows import TrainingRows

    n = data.draw(st.integers(2, 16))
    units = np.array(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)))
    continuous = data.draw(st.booleans())
    values = st.sampled_from([0.0, 1.0, 0.5] if continuous else [0.0, 1.0])
    label = np.array(data.draw(st.lists(values, min_size=n, max_size=n)))
    label[:2] = 0, 1
    rows = TrainingRows.of([f"{row:02}" for row in range(n)], label, units)
    share = data.draw(st.sampled_from([0.01, 0.15, 0.3, 0.5]))
    divided = rows.divided(share, data.draw(st.integers(0, 5)), continuous=continuous)
    assert sorted([*divided.inner, *divided.held_out]) == list(range(n))

    def suits(held_out: NDArray[np.bool_]) -> bool:
        inner, outer = rows.label[~held_out], rows.label[held_out]
        both = bool(len(outer)) if continuous else {*outer} == {0, 1}
        return both and len({*inner}) > 1 and 2 * len(outer) <= n

    mask = np.isin(np.arange(n), divided.held_out)
    subsets = [np.isin(rows.units, [u for u in range(6) if bits >> u & 1]) for bits in range(64)]
    possible = any(map(suits, subsets))
    if possible:
        assert not {rows.units[row] for row in divided.inner} & {rows.units[row] for row in divided.held_out}
    assert divided.whole == (possible or len({*units}) == n)
    enough = n > 2 if continuous else min(np.bincount(label.astype(int))) > 1
    assert suits(mask) or not enough
    assert 0 < len(divided.held_out) <= n / 2
    assert n == 2 or len({*rows.label[divided.inner]}) > 1


def test_a_large_unit_is_not_held_out() -> None:
    from antibody_esm.plm.training_rows import TrainingRows

    for seed in range(10):
        units = np.r_[np.zeros(90), 1:11]
        rows = TrainingRows.of([f"T{row:03d}" for row in range(100)], np.arange(100) % 2, units)
        divided = rows.divided(0.15, seed, continuous=False)
        assert divided.whole
        assert 2 <= len(divided.held_out) <= 10


def test_units_of_one_class_are_held_out_for_both_classes() -> None:
    from antibody_esm.plm.training_rows import TrainingRows

    for seed in range(10):
        rows = TrainingRows.of(texts(80), np.arange(80) // 10 % 2, np.arange(80) // 10)
        divided = rows.divided(0.15, seed, continuous=False)
        assert divided.whole
        assert sorted(rows.label[divided.held_out]) == [0] * 10 + [1] * 10


def test_rows_are_divided_where_units_cannot_be_and_the_adapter_tells_it() -> None:
    facts = tuned(units=LABEL).facts
    assert facts.divided == "rows"
    assert facts.held_out <= 12
    assert Adapter.parse(tuned(units=LABEL).content).facts == facts
    assert tuned(units=np.zeros(24)).tensors.keys() == tuned().tensors.keys()
    assert tuned(units=np.zeros(24)).facts.model_copy(update={"divided": "units"}) == tuned().facts
    assert b"divided" not in tuned().content, "files of earlier versions are read"


def test_many_small_units_are_drawn_as_before() -> None:
    from antibody_esm.plm.training_rows import TrainingRows

    rows = TrainingRows.of(texts(40), np.arange(40) % 2, np.arange(40) // 2)
    assert rows.divided(0.15, 0, continuous=False).held_out.tolist() == [0, 5, 16, 17, 22, 31]
    alone = TrainingRows.of(texts(40), np.arange(40) % 2, None)
    assert alone.divided(0.15, 0, continuous=False).held_out.tolist() == [10, 14, 16, 26, 27, 31]


def test_held_out_rows_have_both_classes() -> None:
    from antibody_esm.plm.training_rows import TrainingRows

    for seed in range(20):
        rows = TrainingRows.of(texts(100, seed), np.arange(100) % 5 == 0, None)
        held_out = rows.divided(0.15, seed, continuous=False).held_out
        assert len(held_out) == 15
        assert 2 <= rows.label[held_out].sum() <= 4


@given(st.data())
@examples(60)
def test_the_key_is_that_of_the_rows_in_any_order(data: st.DataObject) -> None:
    from antibody_esm.plm.training_rows import TrainingRows
    from antibody_esm.specs import ResolvedExtractorSpec

    n = data.draw(st.integers(2, 8))
    rows = st.lists(
        st.tuples(st.sampled_from(["AC", "CD"]), st.sampled_from([0, 1]), st.integers(0, 2)), min_size=n, max_size=n
    )
    drawn = data.draw(rows)
    mixed = data.draw(st.permutations(drawn))
    names = data.draw(st.permutations(["x", "y", "z"]))
    resolved = ResolvedExtractorSpec(digest="0" * 64, layer=1)

    def key(rows: Sequence[tuple[str, int, Any]]) -> str:
        text, label, unit = zip(*rows, strict=True)
        return TrainingRows.of(text, np.array(label), np.array(unit)).key(FAST, resolved, False)

    assert key(drawn) == key([(text, label, names[unit]) for text, label, unit in mixed])
    other = list(drawn)
    other[0] = (other[0][0], 1 - other[0][1], other[0][2])
    assert key(other) != key(drawn)
    assert key([*drawn, drawn[0]]) != key(drawn)


def test_the_key_ignores_number_formats_and_knows_what_is_pooled() -> None:
    from antibody_esm.plm.training_rows import TrainingRows

    rows = TrainingRows.of(TEXTS, LABEL, None)
    plain = ExtractorSpec(model=checkpoint("esm"))

    def key(spec: FineTuneSpec = FAST, continuous: bool = False, **fields: Any) -> str:
        return rows.key(spec, plain.model_copy(update=fields).resolve(), continuous)

    assert key() == key(precision="int8", storage="float16", layer=2, max_length=100)
    others = [
        key(FineTuneSpec()),
        key(continuous=True),
        *(key(**fields) for fields in ({"layer": 1}, {"region": "cdr3"}, {"special_tokens": "include"})),
        *(key(**fields) for fields in ({"pairs": "joined"}, {"truncation": True}, {"prefix": "<mask>"})),
    ]
    assert len({key(), *others}) == len(others) + 1


# AdapterTraining learns, and stops at the best epoch.


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    spec = FAST.model_copy(update={"epochs": 6, "patience": 6, "learning_rate": 0.05})
    adapter = tuned(spec)
    losses = [epoch.validation for epoch in adapter.facts.history]
    assert adapter.facts.epochs == int(np.argmin(losses))
    assert len(losses) == 7
    shorter = tuned(spec.model_copy(update={"epochs": max(1, adapter.facts.epochs)}))
    assert {name: tensor.tobytes() for name, tensor in shorter.tensors.items()} == {
        name: tensor.tobytes() for name, tensor in adapter.tensors.items()
    }
    assert shorter.facts.history == adapter.facts.history[: len(shorter.facts.history)]


def test_a_loss_that_is_not_finite_ends_the_training_at_the_best_epoch_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    adapter = tuned(FAST.model_copy(update={"epochs": 6, "patience": 6, "learning_rate": 1e30}))
    assert "is not finite, and training ends" in caplog.text
    assert len(adapter.facts.history) < 7
    assert adapter.facts.epochs == int(np.argmin([epoch.validation for epoch in adapter.facts.history]))
    assert all(np.isfinite(tensor).all() for tensor in adapter.tensors.values())


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8 + 0.1, -1e8])
def test_equal_labels_of_the_rows_that_are_trained_on_have_finite_losses(value: float) -> None:
    inner, held_out = np.arange(20), np.arange(20, 24)
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(24, 4)))
    label = torch.full((24,), value, dtype=torch.float64)
    label[20:] += 1
    head = Head(rows, label, inner, held_out, True, None, "cpu")
    with torch.no_grad():
        losses = head.losses(list(range(24)), rows.float())
    assert float(losses.max()) < 10


def test_training_ends_when_patience_does() -> None:
    spec = FAST.model_copy(update={"epochs": 50, "patience": 2, "learning_rate": 0.5})
    facts = tuned(spec).facts
    assert len(facts.history) - 1 == facts.epochs + 2 < 50


def test_an_adapter_of_epoch_0_gives_the_frozen_vectors() -> None:
    adapter = tuned(FAST.model_copy(update={"epochs": 1, "learning_rate": 100.0}))
    assert adapter.facts.epochs == 0
    extractor = ExtractorSpec(model=checkpoint("esm"))
    assert np.array_equal(Extractor(adapted(extractor, adapter)).embed(TEXTS), Extractor(extractor).embed(TEXTS))


@pytest.mark.parametrize(
    "spec", [FAST, FineTuneSpec(method="head", pooling="attention", learning_rate=0.05, epochs=20)]
)
@pytest.mark.parametrize("continuous", [False, True])
def test_the_training_loss_falls(spec: FineTuneSpec, continuous: bool) -> None:
    rows = texts(60)
    number = np.array([text.count("W") + text.count("Y") for text in rows])
    label = number if continuous else (number > 1).astype(int)
    spec = spec.model_copy(update={"epochs": 10, "patience": 10})
    history = tuned(spec, rows=rows, label=label, continuous=continuous).facts.history
    assert history[-1].training < history[0].training


@pytest.mark.parametrize("learning_rate", [1e3, 1e20, 1e30])
@pytest.mark.parametrize("continuous", [False, True])
def test_the_best_finite_epoch_is_kept(learning_rate: float, continuous: bool) -> None:
    spec = FAST.model_copy(update={"learning_rate": learning_rate, "epochs": 6})
    facts = tuned(spec, continuous=continuous).facts
    losses = [epoch.validation for epoch in facts.history]
    assert np.isfinite(losses).all()
    assert facts.epochs == int(np.argmin(losses))


@pytest.mark.parametrize(
    "label", [1e8 + 1e-7 * LABEL, 1e200 * LABEL, -1.7e308 * LABEL, np.where(LABEL, 1e8, 1e-8), 1e-200 * LABEL]
)
def test_numbers_of_any_size_are_learnt(label: NDArray[np.float64]) -> None:
    history = tuned(label=label, continuous=True).facts.history
    assert all(0 <= epoch.validation < 1e30 for epoch in history)


def test_inner_labels_that_hardly_differ_are_scaled_by_all() -> None:
    values = np.r_[np.full(22, 1e8), 1e8 + 1e-6, 0]
    assert np.isfinite([epoch.validation for epoch in tuned(label=values, continuous=True).facts.history]).all()


# Every setting of an extractor meets the adapter.


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
    from antibody_esm.plm.heads import Head

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


def test_rows_of_two_adapters_and_of_the_frozen_model_are_apart(tmp_path: Path) -> None:
    from antibody_esm import EmbeddingStore

    frozen = ExtractorSpec(model=checkpoint("esm"))
    specs = [frozen, *(adapted(frozen, of_any_epoch(tuned(rows=TEXTS[k:], label=LABEL[k:]))) for k in (0, 4))]
    assert len({spec.address for spec in specs}) == 3
    store = EmbeddingStore(tmp_path)
    rows = [embed(TEXTS, spec, store) for spec in specs]
    assert not any(np.allclose(rows[one], rows[other]) for one, other in ((0, 1), (0, 2), (1, 2)))
    for spec, vectors in zip(specs, rows, strict=True):
        assert np.array_equal(embed(TEXTS, spec, store), vectors)
        assert np.array_equal(embed(TEXTS, spec.pin(), store), vectors)


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


# What is kept, and found again.


def test_a_training_is_kept_by_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = tuned(folder=tmp_path / "adapters")
    from antibody_esm.plm.training import AdapterTraining

    monkeypatch.setattr(AdapterTraining, "run", lambda self: pytest.fail("it is trained again"))
    again = tuned(rows=TEXTS[::-1], label=LABEL[::-1], folder=tmp_path / "adapters", precision="bfloat16")
    assert again.content == adapter.content
    for spec, label in ((FAST.model_copy(update={"seed": 1}), LABEL), (FAST, 1 - LABEL)):
        with pytest.raises(pytest.fail.Exception):
            tuned(spec, label=label, folder=tmp_path / "adapters")


def test_an_adapter_of_another_spec_under_a_key_is_trained_again(tmp_path: Path) -> None:
    folder = AdapterFolder(tmp_path)
    adapter = tuned(folder=tmp_path)
    [key] = [file.stem for file in tmp_path.glob("*.key")]
    folder.keep(key, tuned(FAST.model_copy(update={"seed": 1})))
    assert tuned(folder=tmp_path).content == adapter.content


def test_ctrl_c_keeps_finished_trainings_and_leaves_no_half_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from antibody_esm.plm.training import _Steps

    first = tuned(folder=tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())

    def interrupted(*_: Any) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_Steps, "epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tuned(FAST.model_copy(update={"seed": 1}), folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert tuned(folder=tmp_path).content == first.content


def test_a_fine_tuned_model_is_read_without_peft(tmp_path: Path) -> None:
    import subprocess

    adapter = tuned(folder=tmp_path)
    spec = adapted(ExtractorSpec(model=checkpoint("esm")), adapter)
    program = (
        "import sys; sys.modules['peft'] = None\n"
        "from antibody_esm import *\n"
        f"runtime = RuntimeSpec(checkpoints=({str(tmp_path)!r},))\n"
        f"print(Extractor({spec!r}, runtime).embed(['EVQLV']).tobytes().hex())\n"
        "from antibody_esm.plm.finetuning import finetune\n"
        f"frozen = ExtractorSpec(model={spec.model!r})\n"
        "finetune(FineTuneSpec(), frozen, ['EVQ', 'QVQ', 'EVE'], [0, 1, 1], continuous=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == Extractor(spec).embed(["EVQLV"]).tobytes().hex(), done.stderr
    assert done.stderr.strip().endswith(
        'ImportError: fine-tuning requires peft; run: pip install ".[finetune]" in a checkout of antibody_esm'
    )


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


def test_a_folder_of_adapters_is_private_and_checked_before_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned(folder=tmp_path / "new" / "adapters")
    assert (tmp_path / "new" / "adapters").stat().st_mode & 0o077 == 0
    (tmp_path / "file").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr("antibody_esm.plm.training.AdapterTraining.run", lambda self: pytest.fail("it is trained"))
        for folder in (tmp_path / "file", tmp_path / "file" / "adapters"):
            with pytest.raises(StoreError, match="adapters cannot be kept here"):
                tuned(folder=folder)


def test_an_adapter_that_cannot_be_written_is_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: Adapter, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Adapter, "save", full)
    adapter = tuned(FAST.model_copy(update={"seed": 11}), folder=tmp_path)
    assert "is kept in memory alone" in caplog.text
    assert not list(tmp_path.iterdir())
    Extractor(adapted(ExtractorSpec(model=checkpoint("esm")), adapter)).embed(TEXTS[:2])


@pytest.mark.parametrize("kind", ["esm", "bert", "esmc", "prott5", "roformer"])
@pytest.mark.parametrize("size", [1e10, 1e18, 1e30])
def test_an_adapter_that_overflows_is_refused(kind: Kind, size: float) -> None:
    adapter = tuned(FAST.model_copy(update={"epochs": 1}), kind)
    huge = Adapter({name: np.full_like(tensor, size) for name, tensor in adapter.tensors.items()}, adapter.facts)
    offer(huge)
    try:
        vectors = Extractor(adapted(ExtractorSpec(model=checkpoint(kind)), huge)).embed(TEXTS[:2])
    except CheckpointError:
        return
    assert np.isfinite(vectors).all()
    assert size < 1e30


# What is refused.


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


def test_an_adapter_of_another_model_is_refused_before_anything_runs() -> None:
    adapter = tuned()
    other = ExtractorSpec(model=checkpoint("esm", seed=1))
    for run in (lambda spec: spec.resolve(), lambda spec: Extractor(spec).embed(TEXTS)):
        with pytest.raises(CheckpointError, match=f"trained on a model with digest {adapter.facts.base}") as error:
            run(adapted(other, adapter))
        assert other.resolve().digest in str(error.value)
        with pytest.raises(CheckpointError, match="trained on a model with digest"):
            Extractor(adapted(other.pin(), adapter)).embed(TEXTS)


def test_a_pinned_spec_is_read_from_a_store_without_the_adapter(tmp_path: Path) -> None:
    adapter = tuned(FAST.model_copy(update={"seed": 7}), folder=tmp_path / "adapters")
    spec = adapted(ExtractorSpec(model=checkpoint("esm")), adapter).pin()
    vectors = embed(TEXTS, spec, tmp_path / "store")
    (tmp_path / "adapters" / f"{adapter.digest}.safetensors").unlink()
    assert np.array_equal(embed(TEXTS, spec, tmp_path / "store"), vectors)
    with pytest.raises(CheckpointError, match=f"no adapter with digest {adapter.digest} is here"):
        embed(["EVQLVESG"], spec, tmp_path / "store")


def test_an_adapter_has_the_licence_of_its_base(monkeypatch: pytest.MonkeyPatch) -> None:
    from antibody_esm.licences import VARIABLE

    spec = ExtractorSpec(model="alchemab/antiberta2", adapter="1" * 64)
    monkeypatch.setenv(VARIABLE, "commercial")
    with pytest.raises(CheckpointError, match="commercial refuses 'alchemab/antiberta2'"):
        Extractor(spec).embed(["EVQLV"])
