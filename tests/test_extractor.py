import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast, T5EncoderModel

import strategies
from antibody_esm import CheckpointError, Extractor, ExtractorSpec, RuntimeSpec, SequenceError
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.model import Model
from antibody_esm.sequences import ALPHABET
from conftest import BACKBONES
from effort import STRESS, examples
from peers import one_thread
from variants import most, variant, whole

MODELS = (*BACKBONES, "antiberty")


@pytest.fixture(scope="session")
def extractors(checkpoints: dict[str, Path]) -> dict[str, Extractor]:
    """One loaded extractor a family, and real AntiBERTy."""
    made = {name: Extractor(checkpoints[name], RuntimeSpec(device="cpu")) for name in BACKBONES}
    return made | {"antiberty": Extractor("antiberty", RuntimeSpec(device="cpu"))}


@pytest.fixture(params=MODELS)
def extractor(request: pytest.FixtureRequest, extractors: dict[str, Extractor]) -> Extractor:
    return extractors[request.param]


def changed(extractor: Extractor, **fields: object) -> Extractor:
    return variant(extractor, extractor.spec.model_copy(update=fields))


def plain(extractor: Extractor, sequence: str, layer: int = -1, pooling: str = "mean") -> NDArray[np.float32]:
    """One sequence alone through transformers, as its documentation shows; nothing of this package takes part."""
    if extractor.spec.model == "antiberty":
        files = locate("antiberty").files
        vocabulary = {token: i for i, token in enumerate(files["vocab.txt"].read_text().split())}
        tokenizer, folder = BertTokenizer(vocab=vocabulary, do_lower_case=False), files["config.json"].parent
    else:
        tokenizer, folder = AutoTokenizer.from_pretrained(extractor.spec.model), Path(extractor.spec.model)
    name = folder.name
    if folder not in PLAIN:
        whole = T5EncoderModel if name in ("prott5", "ankh") else AutoModel
        PLAIN[folder] = whole.from_pretrained(folder).eval()
    if name == "ankh":  # whose tokenizer.json is to be read as it is
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    spaced = name in ("bert", "roformer", "prott5") or extractor.spec.model == "antiberty"
    inputs = tokenizer(" ".join(sequence) if spaced else sequence, return_tensors="pt")
    with torch.no_grad(), one_thread():
        output = PLAIN[folder](input_ids=inputs["input_ids"], output_hidden_states=True)
    states = output.hidden_states[layer][0]
    residues = states[:-1] if name in ("prott5", "ankh") else states[1:-1]
    assert len(residues) == len(sequence)
    return {"mean": residues.mean(0), "max": residues.max(0).values, "cls": states[0], "none": residues}[
        pooling
    ].numpy()


PLAIN: dict[Path, torch.nn.Module] = {}


@given(data=st.data())
@examples(12)
def test_an_embedding_equals_a_plain_computation_of_each_sequence(extractor: Extractor, data: st.DataObject) -> None:
    sequences = data.draw(st.lists(strategies.sequences(max_size=60), min_size=1, max_size=6))
    for row, sequence in zip(extractor.embed(sequences), sequences, strict=True):
        np.testing.assert_allclose(row, plain(extractor, sequence), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_every_layer_and_pooling_equals_a_plain_computation(extractor: Extractor, layer: int, pooling: str) -> None:
    sequences = ["EVQLVXSGG", "QVQ", "EVQLVESGG"]
    if pooling == "cls" and not extractor.vocabulary.prefix:
        with pytest.raises(CheckpointError, match="adds no start token, so there is no 'cls' pooling"):
            Extractor(extractor.spec.model_copy(update={"pooling": "cls"})).embed(sequences)
        return
    rows = changed(extractor, layer=layer, pooling=pooling).embed(sequences)
    for row, sequence in zip(rows, sequences, strict=True):
        np.testing.assert_allclose(row, plain(extractor, sequence, layer, pooling), atol=1e-5, rtol=1e-4)


@given(data=st.data())
@examples(12)
def test_an_embedding_does_not_depend_on_its_batch_its_order_or_the_workers(
    extractor: Extractor, data: st.DataObject
) -> None:
    length = data.draw(st.integers(1, 130))
    same_length = strategies.sequences(length, length)
    sequences = data.draw(
        st.lists(same_length | strategies.sequences(max_size=20), min_size=2, max_size=most(extractor, length, 12))
    )
    together = extractor.embed(sequences)
    order = data.draw(st.permutations(range(len(sequences))))
    runtime = RuntimeSpec(
        device="cpu", workers=data.draw(st.integers(1, 3)), batch_tokens=data.draw(st.integers(1, 3000))
    )
    shuffled = variant(extractor, runtime=runtime).embed([sequences[i] for i in order])
    assert np.array_equal(shuffled, together[list(order)])
    alone = data.draw(st.integers(0, len(sequences) - 1))
    assert np.array_equal(extractor.embed([sequences[alone]])[0], together[alone])


def test_every_length_from_1_to_130_has_the_same_bits_alone_and_in_company(extractor: Extractor) -> None:
    generator = np.random.default_rng(0)
    # Of a model of full size every length up to 32, where matrix libraries take other paths, and some beyond.
    lengths = range(1, 131) if STRESS or not whole(extractor) else [*range(1, 33), *range(34, 131, 8)]
    # So many of a short length that the matrix library multiplies all of them along another path than one of them.
    several = [
        ["".join(generator.choice(list(ALPHABET), length)) for _ in range(max(2, 80 // length))] for length in lengths
    ]
    together = iter(extractor.embed([sequence for some in several for sequence in some]))
    alone = extractor.embed([some[-1] for some in several])
    last = [[next(together) for _ in some][-1] for some in several]
    assert [np.array_equal(one, other) for one, other in zip(alone, last, strict=True)] == [True] * len(alone)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_layers_above_the_one_that_is_asked_for_are_not_computed(extractor: Extractor, layer: int) -> None:
    sequences = ["EVQLVXSGG", "QVQ", "EVQLVESGG"]
    spec = extractor.spec.model_copy(update={"layer": layer})
    cut = Extractor(spec, extractor.runtime)
    assert np.array_equal(cut.embed(sequences), changed(extractor, layer=layer).embed(sequences)), "bit for bit"
    ran: set[str] = set()
    for name, module in cut.models[0].module.named_modules():
        number = name.rpartition(".")[2]
        if number.isdigit() and name.count(".") <= 2:
            module.register_forward_hook(lambda *_, number=number: ran.add(number))
    cut.embed(["EVQLV"])
    assert len(ran) == max(1, layer)


@given(data=st.data())
@examples(6)
def test_states_of_residues_equal_a_plain_computation_and_their_mean_is_the_embedding(
    extractor: Extractor, data: st.DataObject
) -> None:
    sequences = data.draw(st.lists(strategies.sequences(max_size=30), min_size=1, max_size=5))
    found = list(extractor.residues(sequences))
    assert [states.shape for states in found] == [(len(sequence), extractor.dim) for sequence in sequences]
    for states, sequence, row in zip(found, sequences, extractor.embed(sequences), strict=True):
        assert states.dtype == np.float32
        np.testing.assert_allclose(states, plain(extractor, sequence, pooling="none"), atol=1e-5, rtol=1e-4)
        np.testing.assert_allclose(states.mean(axis=0), row, atol=1e-6, rtol=1e-5)


def test_residues_come_in_order_whatever_is_held_at_a_time(
    tiny: ExtractorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = ["W" * n + "C" * (n % 3) for n in range(1, 30)] * 2
    expected = list(Extractor(tiny).residues(sequences))
    monkeypatch.setattr("antibody_esm.plm.extractor._RESIDUES_AT_ONCE", 7)
    again = Extractor(tiny.model_copy(update={"layer": 2}), RuntimeSpec(workers=2))
    for one, other in zip(again.residues(sequences), expected, strict=True):
        assert np.array_equal(one, other)
    assert list(Extractor(tiny).residues([])) == []
    with pytest.raises(SequenceError):
        Extractor(tiny).residues(["EV-L"])
    cut = Extractor(tiny.model_copy(update={"max_length": 5, "truncation": True}))
    assert [len(states) for states in cut.residues(["EVQLVESGG", "EVQ"])] == [5, 3]


def test_duplicates_and_case_are_computed_once(tiny: ExtractorSpec) -> None:
    extractor = Extractor(tiny)
    rows = extractor.embed(["EVQL", "QVQ", "evql ", "EVQL"])
    assert extractor.computed == 2
    assert np.array_equal(rows[[0, 0, 0]], rows[[0, 2, 3]])


def test_no_sequences_give_an_empty_matrix_of_the_right_width(tiny: ExtractorSpec) -> None:
    rows = Extractor(tiny).embed([])
    assert (rows.shape, rows.dtype) == ((0, 32), np.float32)


def test_bad_rows_are_refused_before_any_file_of_the_model_is_read() -> None:
    with pytest.raises(SequenceError):
        Extractor(ExtractorSpec(model="not/there")).embed(["EVQL", "EV-L"])


def test_special_tokens_are_pooled_only_on_request(extractor: Extractor) -> None:
    sequence = "EVQLV"
    included = changed(extractor, special_tokens="include").embed([sequence])[0]
    excluded = extractor.embed([sequence])[0]
    assert not np.allclose(included, excluded, atol=1e-3)
    if not extractor.vocabulary.prefix:
        return
    start = changed(extractor, pooling="cls").embed([sequence])[0]
    end = 7 * included - 5 * excluded - start
    assert np.isfinite(end).all()
    assert not np.allclose(end, start, atol=1e-3)


def test_x_takes_part_in_the_mean(extractor: Extractor) -> None:
    assert not np.allclose(extractor.embed(["EVXLV"]), extractor.embed(["EVLV"]), atol=1e-3)


def test_truncation_happens_on_request_only(tiny: ExtractorSpec) -> None:
    long, short = "EVQLVESGG", "EVQLV"
    limited = tiny.model_copy(update={"max_length": 5})
    with pytest.raises(SequenceError, match="9 residues, at most 5 are allowed"):
        Extractor(limited).embed([short, long])
    cut = limited.model_copy(update={"truncation": True})
    assert np.array_equal(Extractor(cut).embed([long]), Extractor(tiny).embed([short]))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_is_near_and_does_not_depend_on_the_batch(
    extractors: dict[str, Extractor], precision: str
) -> None:
    full = extractors["antiberty"]
    low = Extractor(full.spec.model_copy(update={"precision": precision}), RuntimeSpec(device="cpu"))
    sequences = ["EVQLVESGGGLVQPGG", "QVQLQQSGAELARPGA", "EVQLV"]
    rows = low.embed(sequences)
    assert rows.dtype == np.float32
    assert np.array_equal(low.embed(sequences[:1]), rows[:1])
    difference = np.abs(rows - full.embed(sequences)).max()
    assert 0 < difference < 0.1


def test_the_number_of_torch_threads_is_left_as_it_was(tiny: ExtractorSpec) -> None:
    before = torch.get_num_threads()
    for workers in (1, 2):
        Extractor(tiny, RuntimeSpec(workers=workers)).embed(["EVQL", "QVQ"])
    assert torch.get_num_threads() == before


@pytest.fixture
def mine(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "mine"))


def test_weights_that_are_not_in_the_checkpoint_are_an_error_and_not_random(mine: Path) -> None:
    config = json.loads((mine / "config.json").read_text())
    (mine / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(CheckpointError, match="would be random in encoder.layer.2"):
        Extractor(mine).embed(["EVQL"])


def test_weights_of_another_shape_are_an_error(mine: Path) -> None:
    config = json.loads((mine / "config.json").read_text())
    (mine / "config.json").write_text(json.dumps(config | {"intermediate_size": 64}))
    with pytest.raises(CheckpointError, match="has intermediate_size 64, and no weight has that length"):
        Extractor(mine).embed(["EVQL"])


def test_damaged_weights_are_an_error(mine: Path) -> None:
    (mine / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(CheckpointError):
        Extractor(mine).embed(["EVQL"])


@pytest.mark.parametrize("family", ["bert"])
def test_pickled_weights_that_would_run_code_are_an_error_and_nothing_runs(mine: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    (mine / "model.safetensors").unlink()
    torch.save({"encoder.weight": Evil()}, mine / "pytorch_model.bin")
    with pytest.raises(CheckpointError):
        Extractor(mine).embed(["EVQL"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("family", ["bert"])
def test_code_beside_a_checkpoint_is_not_run(mine: Path, tmp_path: Path) -> None:
    config = json.loads((mine / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"}}
    (mine / "config.json").write_text(json.dumps(config))
    (mine / "evil.py").write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()")
    with pytest.raises(CheckpointError):
        Extractor(mine).embed(["EVQL"])
    assert not (tmp_path / "ran").exists()


def test_vectors_that_are_not_finite_are_an_error(mine: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(mine / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    weights[name][:] = float("nan")
    save_file(weights, mine / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not finite in float32"):
        Extractor(mine).embed(["EVQL"])


def test_files_that_change_while_they_are_in_use_are_an_error(mine: Path) -> None:
    extractor = Extractor(mine)
    extractor.resolved  # noqa: B018
    (mine / "vocab.txt").write_text((mine / "vocab.txt").read_text() + "\n")
    with pytest.raises(CheckpointError, match="changed while they were in use"):
        extractor.embed(["EVQL"])


def test_progress_is_shown_on_request_and_not_in_a_log(tiny: ExtractorSpec, capfd: pytest.CaptureFixture[str]) -> None:
    whole = Model.run
    Extractor(tiny, RuntimeSpec(progress=None)).embed(["EVQL"])
    Extractor(tiny, RuntimeSpec(progress=False)).embed(["EVQL"])
    assert capfd.readouterr() == ("", "")
    runtime = RuntimeSpec(progress=True, workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "run", lambda self, *given: (time.sleep(0.6), whole(self, *given))[1])
        Extractor(tiny, runtime).embed(["EVQL", "QV", "A"])
    shown = capfd.readouterr().err
    assert "/3 [" in shown
    assert "seq" in shown


def test_making_an_extractor_touches_nothing() -> None:
    assert "not/there" in repr(Extractor(ExtractorSpec(model="not/there")))
