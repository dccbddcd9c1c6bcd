"""Rules that keep the bits of a row, each seen in the passes that a model runs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from antibody_esm import CheckpointError, Extractor, ExtractorSpec, RuntimeSpec, embed_views
from antibody_esm.batch import Batch
from antibody_esm.plm.batching import FEWEST
from antibody_esm.plm.fused import alone_as_in_company
from antibody_esm.plm.model import Model
from antibody_esm.plm.regions import residues_of
from conftest import BACKBONES

ALL = residues_of(["A"], ["all"])


@pytest.fixture(params=BACKBONES)
def model(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> Model:
    return loaded(checkpoints[request.param])


def loaded(folder: Path) -> Model:
    return Extractor(folder, RuntimeSpec(device="cpu")).models[0]


def passes_of(model: Model, sequences: list[str], spec: ExtractorSpec) -> tuple[list[torch.Size], list[np.ndarray]]:
    """Shapes of the tokens of each pass, and the rows."""
    shapes: list[torch.Size] = []
    hook = model.module.register_forward_pre_hook(
        lambda _, __, named: shapes.append(named["input_ids"].shape), with_kwargs=True
    )
    rows = model.run(sequences, [spec.resolve()], ALL)
    hook.remove()
    return shapes, rows


def spec_of(model: Model) -> ExtractorSpec:
    return ExtractorSpec(model=model.checkpoint.model)


def test_no_pass_has_fewer_tokens_than_64_or_a_lone_row_where_it_matters(model: Model) -> None:
    assert FEWEST == 64
    runs_lone_rows = alone_as_in_company(model.module)
    for length in range(1, 131):
        for n in (1, 2):
            sequences = ["ACDEFGHIKL"[i] * length for i in range(n)]
            shapes, [rows] = passes_of(model, sequences, spec_of(model))
            assert len(rows) == n
            for count, tokens in shapes:
                assert tokens == length + model.vocabulary.added, "no padding"
                assert count * tokens >= 64
                assert count >= 2 or runs_lone_rows


def test_lengths_at_which_a_row_depends_on_its_place_run_one_a_pass(model: Model) -> None:
    sequences = ["ACDEFGHIKL"[i] * 70 for i in range(5)]
    for length in (69, 70):
        several = [sequence[:length] for sequence in sequences]
        shapes, [rows] = passes_of(model, several, spec_of(model))
        assert len(shapes) == (5 if model.runs_apart(length + model.vocabulary.added) else 1)
        alone = [model.run([sequence], [spec_of(model).resolve()], ALL)[0][0] for sequence in several]
        assert np.array_equal(rows, np.stack(alone))
        states = model.states(several, model.checkpoint.layers)
        for one, sequence in zip(states, several, strict=True):
            assert np.array_equal(one, model.states([sequence], model.checkpoint.layers)[0])


def test_some_family_needs_the_rule_of_one_sequence_a_pass(checkpoints: dict[str, Path]) -> None:
    apart = {
        (name, tokens) for name in BACKBONES for tokens in (71, 72, 73) if loaded(checkpoints[name]).runs_apart(tokens)
    }
    assert apart, "or the test before cannot fail"


def test_a_pass_uses_one_torch_thread_in_the_thread_that_runs_it(tiny: ExtractorSpec) -> None:
    before, seen = torch.get_num_threads(), []
    extractor = Extractor(tiny, RuntimeSpec(device="cpu", workers=2))
    extractor.models[0].module.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(3)
    try:
        extractor.embed(["EVQL", "QVQ", "A"])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1, 1]


def test_sequences_that_are_cut_to_the_same_residues_are_one_row_of_the_model(tiny: ExtractorSpec) -> None:
    cut = tiny.model_copy(update={"max_length": 5, "truncation": True})
    sequences = ["EVQLVAAA", "QVQLVAAA", "EVQLVCCC"]  # the first and the last of a batch are the same to the model
    rows = Extractor(cut).embed(sequences)
    assert np.array_equal(rows[[0, 1, 2]], Extractor(tiny).embed(["EVQLV", "QVQLV", "EVQLV"]))
    assert np.array_equal(Extractor(cut).run(Batch(sequences, (cut.resolve(),)))[0], rows)


@pytest.mark.parametrize("family", ["prott5", "ankh"])
def test_regression_a_view_of_a_start_token_that_is_not_there_is_an_error(
    checkpoints: dict[str, Path], family: str
) -> None:
    # Of several views only the first of the deepest layer was checked; the others gave the first residue's state.
    specs = ExtractorSpec(model=str(checkpoints[family])).views([-1], ["mean", "cls"])
    with pytest.raises(CheckpointError, match="adds no start token, so there is no 'cls' pooling"):
        embed_views(["EVQL"], specs)
