from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from antibody_esm import CheckpointError, EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, SequenceError, embed
from antibody_esm.testing import tiny_checkpoint
from effort import examples

RUNTIME = RuntimeSpec(workers=1)


@pytest.fixture(scope="session")
def loaded(tiny: ExtractorSpec) -> Extractor:
    extractor = Extractor(tiny, RUNTIME)
    extractor.embed(["A"])
    return extractor


@given(st.lists(strategies.sequences(), min_size=1, max_size=8), st.lists(strategies.sequences(), max_size=8))
@examples(15)
def test_with_the_store_equals_without(
    loaded: Extractor, tmp_path_factory: pytest.TempPathFactory, before: list[str], after: list[str]
) -> None:
    root = tmp_path_factory.mktemp("store")
    embed(before, loaded, root)
    computed = loaded.computed
    rows = embed(before + after, loaded, root)
    assert loaded.computed - computed == len(set(after) - set(before)), "only what was missing went through the model"
    assert np.array_equal(rows, embed(before + after, loaded))


def test_a_whole_cross_product_of_orders_and_subsets_computes_nothing_twice(
    tiny: ExtractorSpec, tmp_path: Path
) -> None:
    sequences = ["EVQL", "QVQL", "AAAA", "EVQLV"]
    embed(sequences, tiny, tmp_path)
    again = Extractor(tiny)
    for chosen in (sequences[::-1], sequences[:2], [*sequences, "evql"], ["QVQL"] * 3):
        embed(chosen, again, tmp_path)
    assert again.computed == 0
    assert "models" not in vars(again), "a model that is not needed is not loaded"


def test_rows_come_in_input_order_as_float32(tiny: ExtractorSpec) -> None:
    rows = embed(["EVQL", "QV", "evql"], tiny)
    assert (rows.shape, rows.dtype) == ((3, 32), np.float32)
    assert np.array_equal(rows[0], rows[2])
    assert np.array_equal(rows, embed(["EVQL", "QV", "EVQL"], Extractor(tiny)))


def test_an_extractor_may_be_a_folder_a_preset_or_a_spec(tiny: ExtractorSpec) -> None:
    assert np.array_equal(embed(["EVQL"], tiny.model), embed(["EVQL"], Path(tiny.model)))
    assert embed(["EVQL"], "antiberty").shape == (1, 512)
    with pytest.raises(ValueError, match="unknown extractor 'esm'"):
        embed(["EVQL"], "esm")


def test_no_sequences_give_no_rows_of_the_right_width(tiny: ExtractorSpec, tmp_path: Path) -> None:
    assert embed([], tiny).shape == embed(iter(()), tiny, tmp_path).shape == (0, 32)
    assert embed([], "antiberty").shape == (0, 512)


def test_a_bad_row_stops_everything_before_anything_runs(tiny: ExtractorSpec, tmp_path: Path) -> None:
    extractor = Extractor(tiny)
    for bad in (["EVQL", "E*"], ["EVQL", "W" * 1023]):
        with pytest.raises(SequenceError) as caught:
            embed(bad, extractor, tmp_path)
        assert caught.value.index == 1
    assert extractor.computed == 0
    assert not list(tmp_path.iterdir())


def test_a_stored_row_does_not_pass_a_stricter_limit(tiny: ExtractorSpec, tmp_path: Path) -> None:
    embed(["EVQLV"], tiny, tmp_path)
    with pytest.raises(SequenceError):
        embed(["EVQLV"], tiny.model_copy(update={"max_length": 4}), tmp_path)


def test_damaged_rows_are_computed_again(tiny: ExtractorSpec, tmp_path: Path) -> None:
    sequences = ["EVQL", "QVQL"]
    rows = embed(sequences, tiny, tmp_path)
    for segment in tmp_path.rglob("*.joblib"):
        content = segment.read_bytes()
        place = content.find(rows[0].tobytes())
        segment.write_bytes(content if place < 0 else content[:place] + b"\xff" + content[place + 1 :])
    extractor = Extractor(tiny)
    with pytest.warns(RuntimeWarning, match="1 damaged rows"):
        assert np.array_equal(embed(sequences, extractor, tmp_path), rows)
    assert extractor.computed == 1


def test_a_model_that_is_gone_is_an_error_and_not_another_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        embed(["EVQL"], ExtractorSpec(model=str(tmp_path / "gone")), tmp_path / "store")


def test_a_model_edited_under_a_running_process_does_not_lend_its_address_to_the_rows_of_the_old_one(
    tmp_path: Path,
) -> None:
    folder = tiny_checkpoint("esm", tmp_path / "model", seed=0)
    extractor = Extractor(folder)
    embed(["EVQL"], extractor, tmp_path / "store")
    tiny_checkpoint("esm", folder, seed=1)
    old = embed(["QVQL"], extractor, tmp_path / "store")
    new = embed(["QVQL"], folder, tmp_path / "store")
    assert not np.array_equal(old, new)
    assert np.array_equal(new, Extractor(folder).embed(["QVQL"]))


def test_a_store_may_be_given_as_an_object(tiny: ExtractorSpec, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    rows = embed(["EVQL"], tiny, store)
    assert np.array_equal(store.gather(tiny, ["EVQL"]), rows)
