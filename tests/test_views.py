"""Several vectors of a sequence from one pass of the model."""

from pathlib import Path

import numpy as np
import pytest

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, SequenceError, embed, embed_views
from antibody_esm.plm.model import Model
from antibody_esm.specs import Pooling
from chains import HEAVY, LIGHT, LYSOZYME, NANOBODY
from conftest import BACKBONES
from variants import variant

CHAINS = [HEAVY, LIGHT, NANOBODY, HEAVY, HEAVY.lower()]


@pytest.mark.parametrize("kind", [*BACKBONES, "antiberty"])
def test_views_have_the_bits_of_each_spec_alone(kind: str, checkpoints: dict[str, Path]) -> None:
    spec = ExtractorSpec(model=kind if kind == "antiberty" else str(checkpoints[kind]))
    poolings = ["mean", "max", "std"] if kind in ("prott5", "ankh") else ["mean", "max", "std", "cls"]
    specs = spec.views([0, 1, None], poolings, ["all", "cdr3"])  # type: ignore[arg-type]
    specs.append(spec.model_copy(update={"special_tokens": "include", "storage": "int8"}))
    found = embed_views(CHAINS, specs)
    assert len(found) == len(specs) >= 19
    loaded: dict[int, Extractor] = {}
    for one, rows in zip(specs, found, strict=True):
        assert rows.shape[0] == len(CHAINS)
        alone = Extractor(one)
        alone = variant(loaded.setdefault(alone.resolved.layer, alone), one)
        assert np.array_equal(rows, alone.embed(CHAINS)), one
    assert len(loaded) == 3, "a model that is cut at each layer"


def test_one_pass_gives_all_views_and_each_is_found_under_its_own_spec(tiny: ExtractorSpec, tmp_path: Path) -> None:
    specs = tiny.views([1, 2], ["mean", "std"], ["all", "cdrs"])
    passes: list[int] = []
    whole = Model._forward

    def counted(self: Model, sequences: list[str], *further: object) -> None:
        passes.append(len(sequences))
        whole(self, sequences, *further)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "_forward", counted)
        found = embed_views(CHAINS, specs, tmp_path)
        assert sum(passes) == 3, "three different sequences"
        for spec, rows in zip(specs, found, strict=True):
            assert np.array_equal(embed(CHAINS, spec, tmp_path), rows)
        assert all(np.array_equal(*both) for both in zip(embed_views(CHAINS, specs, tmp_path), found, strict=True))
        assert sum(passes) == 3, "and nothing is computed again"
        embed_views([*CHAINS, HEAVY[:-1]], specs, tmp_path)
        assert sum(passes) == 4, "one sequence more costs one"
    assert len(EmbeddingStore(tmp_path).stats().specs) == len(specs)


def test_a_view_more_computes_what_it_lacks_and_stores_no_row_twice(tiny: ExtractorSpec, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    embed(CHAINS[:2], tiny, store)
    specs = tiny.views([2], ["mean", "max"])
    embed_views(CHAINS, specs, store)
    assert [store.count(spec) for spec in specs] == [3, 3]
    assert sum(one.rows for one in store.stats().specs) == 6


def test_layers_above_the_deepest_view_are_not_computed(tiny: ExtractorSpec) -> None:
    extractor = Extractor(tiny.model_copy(update={"layer": 1}))
    list(extractor.stream_views(["EVQL"], [spec.resolve() for spec in tiny.views([0, 1])]))
    assert len(extractor.models[0].module.encoder.layer) == 1


def test_workers_do_not_mix_up_their_states(tiny: ExtractorSpec) -> None:
    specs = tiny.views([0, 1, 2], ["mean", "max"])
    sequences = ["DEFHIKLMPQ"[n % 10] * (5 + n % 40) for n in range(400)]
    one = embed_views(sequences, specs, runtime=RuntimeSpec(workers=1))
    several = embed_views(sequences, specs, runtime=RuntimeSpec(workers=4, batch_tokens=60))
    assert all(np.array_equal(*both) for both in zip(one, several, strict=True))


@pytest.mark.parametrize("poolings", [["mean"], ["mean", "max", "std", "cls"]])
def test_what_is_finished_is_stored_when_a_run_ends_early(
    tiny: ExtractorSpec, tmp_path: Path, poolings: list[Pooling]
) -> None:
    sequences = ["W" * n for n in range(1, 60)]
    specs = tiny.views([1, 2], poolings)
    whole, left = Model._forward, iter(range(20))

    def interrupted(self: Model, *given: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        whole(self, *given)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "_forward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            embed_views(sequences, specs, tmp_path, RuntimeSpec(workers=1))
    stored = [EmbeddingStore(tmp_path).count(spec) for spec in specs]
    assert stored == [20] * len(specs)
    rows = embed_views(sequences, specs, tmp_path)
    assert np.array_equal(rows[-1], Extractor(specs[-1]).embed(sequences))


def test_what_is_no_set_of_views_is_an_error(tiny: ExtractorSpec, checkpoints: dict[str, Path]) -> None:
    for specs in (
        [],
        [tiny, ExtractorSpec(model=str(checkpoints["bert"]))],
        [tiny, tiny.model_copy(update={"precision": "bfloat16"})],
    ):
        with pytest.raises(ValueError, match="specs of views may differ only in"):
            embed_views(["EVQL"], specs)
    with pytest.raises(SequenceError, match="sequence 2 .index 1.: no cdr3"):
        embed_views([HEAVY, LYSOZYME], tiny.views(regions=["all", "cdr3"]))
    assert [rows.shape for rows in embed_views([], tiny.views([1, 2]))] == [(0, 32)] * 2
    assert len(tiny.views([1, 2], ["mean", "cls"], ["all", "cdr3"])) == 6
