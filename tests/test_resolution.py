import shutil
from pathlib import Path

import pytest

from antibody_esm import CheckpointError, EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, embed


def test_the_last_layer_has_one_key_however_it_is_named(checkpoint: Path) -> None:
    def key(layer: int | None) -> str:
        return ExtractorSpec(model=str(checkpoint), layer=layer).resolve().fingerprint

    assert key(None) == key(-1) == key(2)
    assert key(0) == key(-3)
    assert len({key(0), key(1), key(2)}) == 3


@pytest.mark.parametrize("layer", [3, -4, 33])
def test_a_layer_the_model_does_not_have_is_an_error_that_names_the_range(checkpoint: Path, layer: int) -> None:
    with pytest.raises(CheckpointError, match=rf"no layer {layer}; allowed are 0 \(embeddings\) to 2, or -1 to -3"):
        ExtractorSpec(model=str(checkpoint), layer=layer).resolve()


def test_two_models_of_one_shape_have_two_keys_under_one_name(tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    from antibody_esm.testing import tiny_checkpoint

    spec = ExtractorSpec(model=str(tmp_path / "model"))
    tiny_checkpoint("esm", spec.model, seed=0)
    first = spec.resolve()
    tiny_checkpoint("esm", spec.model, seed=1)
    assert spec.resolve().fingerprint != first.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"layer": 1},
        {"pooling": "max"},
        {"pooling": "cls"},
        {"special_tokens": "include"},
        {"precision": "bfloat16"},
        {"truncation": True},
        {"truncation": True, "max_length": 5},
    ],
)
def test_whatever_changes_a_row_changes_its_address(tiny: ExtractorSpec, change: dict[str, object]) -> None:
    assert tiny.model_copy(update=change).resolve().fingerprint != tiny.resolve().fingerprint


def test_a_limit_that_refuses_changes_no_row_and_no_address(tiny: ExtractorSpec) -> None:
    assert tiny.model_copy(update={"max_length": 9}).resolve() == tiny.resolve()


def test_runtime_does_not_change_the_address(tiny: ExtractorSpec) -> None:
    plain = Extractor(tiny).resolved.fingerprint
    for runtime in (RuntimeSpec(workers=1), RuntimeSpec(batch_tokens=1), RuntimeSpec(progress=True, device="cpu")):
        assert Extractor(tiny, runtime).resolved.fingerprint == plain


def test_a_pinned_spec_refuses_other_bytes(tiny: ExtractorSpec) -> None:
    pinned = tiny.pin()
    assert pinned.resolve() == tiny.resolve()
    wrong = tiny.model_copy(update={"digest": "0" * 64})
    with pytest.raises(CheckpointError, match="pinned to 0000"):
        wrong.resolve()
    with pytest.raises(CheckpointError, match="pinned to 0000"):
        Extractor(wrong.model_copy(update={"layer": 2})).embed(["EVQL"])


@pytest.mark.parametrize("truncation", [False, True])
def test_a_store_answers_a_pinned_spec_where_no_weights_are(tmp_path: Path, truncation: bool) -> None:
    from antibody_esm.testing import tiny_checkpoint

    model = tiny_checkpoint("esm", tmp_path / "model", seed=11)
    spec = ExtractorSpec(model=str(model), truncation=truncation)
    rows = embed(["EVQLV", "QVQ"], spec, tmp_path / "store")
    pinned = spec.pin()
    shutil.rmtree(model)
    assert (embed(["QVQ", "EVQLV"], pinned, tmp_path / "store") == rows[::-1]).all()
    assert EmbeddingStore(tmp_path / "store").count(pinned) == 2
    with pytest.raises(CheckpointError):
        embed(["AAAA"], pinned, tmp_path / "store")
