"""Random weights are the same everywhere, and never taken for trained ones."""

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import needed
import strategies
from antibody_esm import CheckpointError, EmbeddingStore, EnsembleSpec, Extractor, ExtractorSpec, embed, embed_views
from antibody_esm.choices import Pooling
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.families import family_of
from antibody_esm.plm.initialisation import initialised
from antibody_esm.plm.masked import NoHead, masked_log_probabilities
from antibody_esm.specs import ResolvedExtractorSpec
from antibody_esm.testing import Kind, tiny_checkpoint
from antibody_esm.untrained import untrained
from effort import examples

SEQUENCES = ["EVQLVESGGGLVQPGG", "QVQLQ"]
PAIRS = [("EVQLVESGG", "DIQMTQS"), ("QVQLQ", "DIQMT")]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {kind: tiny_checkpoint(kind, root / kind) for kind in get_args(Kind)}


def digest_of_weights(folder: Path | str, seed: int) -> str:
    checkpoint = locate(str(folder), weights=False)
    family = family_of(checkpoint)
    model = initialised(checkpoint, family.model_class, torch.float32, seed, **dict(family.model_options))
    whole = hashlib.sha256()
    for name, values in sorted(model.state_dict().items()):
        whole.update(name.encode() + values.float().numpy().tobytes())
    return whole.hexdigest()


@given(strategies.resolved_extractors, strategies.seeds, strategies.seeds)
def test_no_address_of_random_rows_is_that_of_trained_rows_or_of_another_seed(
    resolved: ResolvedExtractorSpec, seed: int, other: int
) -> None:
    trained, random, others = (resolved.model_copy(update={"random_weights": each}) for each in (None, seed, other))
    assert trained.fingerprint != random.fingerprint
    assert (random.fingerprint == others.fingerprint) == (seed == other)


@given(seed=strategies.seeds, layer=st.sampled_from([None, 0, 1, -1]), pooling=st.sampled_from(["mean", "max", "std"]))
@examples(20)
def test_every_view_of_a_model_has_another_address_with_random_weights(
    checkpoints: dict[str, Path], seed: int, layer: int | None, pooling: Pooling
) -> None:
    spec = ExtractorSpec(model=str(checkpoints["esm"]), layer=layer, pooling=pooling)
    random = spec.model_copy(update={"random_weights": seed})
    assert spec.address != random.address
    assert random.pin().address == random.address
    assert spec.resolve().digest != random.resolve().digest
    with pytest.raises(CheckpointError, match="pinned to"):
        Extractor(random.model_copy(update={"digest": spec.pin().digest})).embed(SEQUENCES)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_each_family_has_the_same_random_rows_whatever_else_draws(checkpoints: dict[str, Path], kind: str) -> None:
    if kind == "ablang2" and not needed.ablang2():
        needed.leave("ablang2")
    spec = ExtractorSpec(model=str(checkpoints[kind]), random_weights=0)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    rows = embed(SEQUENCES, spec)
    assert torch.equal(torch.random.get_rng_state(), before)
    stop = threading.Event()

    def draw() -> None:
        while not stop.is_set():
            torch.rand(64)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        assert np.array_equal(embed(SEQUENCES, spec), rows)
    finally:
        stop.set()
        thread.join()
    trained = embed(SEQUENCES, spec.model_copy(update={"random_weights": None}))
    other = embed(SEQUENCES, spec.model_copy(update={"random_weights": 1}))
    assert rows.shape == trained.shape
    assert np.isfinite(rows).all()
    assert not np.allclose(rows, trained)
    assert not np.allclose(rows, other)
    assert not np.allclose(rows[0], rows[1]), "sequences differ in their rows"


def test_random_weights_have_the_same_bits_in_another_process_with_other_instructions(
    checkpoints: dict[str, Path],
) -> None:
    folders = [folder for kind, folder in checkpoints.items() if kind != "ablang2" or needed.ablang2()]
    here = [digest_of_weights(folder, 3) for folder in folders]
    assert len(set(here)) == len(here)
    program = (
        "import sys; from test_random_weights import digest_of_weights as d\nfor f in sys.argv[1:]: print(d(f, 3))"
    )
    path = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, folders)],
        env=os.environ | {"ATEN_CPU_CAPABILITY": "default", "PYTHONPATH": os.pathsep.join(path)},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == here


def test_only_configuration_and_tokenizer_are_read(tmp_path: Path) -> None:
    folder = tiny_checkpoint("bert", tmp_path / "model")
    spec = ExtractorSpec(model=str(folder), random_weights=5)
    rows, address = embed(SEQUENCES, spec), spec.address
    for file in folder.glob("*.safetensors"):
        file.unlink()
    assert spec.address == address
    assert np.array_equal(embed(SEQUENCES, spec), rows)
    with pytest.raises(CheckpointError, match="no weights"):
        embed(SEQUENCES, ExtractorSpec(model=str(folder)))
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"initializer_range": 0.02', '"initializer_range": 0.03'))
    assert spec.address != address


@pytest.mark.parametrize("model", ["antiberty", "sapiens_vh", "sapiens_vl"])
def test_models_of_packages_have_random_weights_too(model: str) -> None:
    spec = ExtractorSpec(model=model, random_weights=0)
    rows = embed(SEQUENCES, spec)
    assert rows.shape == embed(SEQUENCES, model).shape
    assert spec.address not in {
        ExtractorSpec(model=model).address,
        spec.model_copy(update={"random_weights": 1}).address,
    }
    assert len({ExtractorSpec(model=f"sapiens_{kind}", random_weights=0).address for kind in ("vh", "vl")}) == 2


def test_rows_of_both_lie_in_one_store_and_none_is_computed_twice(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    spec = ExtractorSpec(model=str(checkpoints["esm"]))
    random = ExtractorSpec(model=str(checkpoints["esm"]), random_weights=0)
    apart = [embed(PAIRS, each) for each in (spec, random)]
    for each, rows in zip((spec, random), apart, strict=True):
        assert np.array_equal(embed(PAIRS, each, store), rows)
    extractor = Extractor(random)
    assert np.array_equal(embed(PAIRS, extractor, store), apart[1])
    assert extractor.computed == 0
    assert store.explain(spec, random) == ["random_weights None -> 0"]


def test_views_of_one_random_model_come_from_one_pass(checkpoints: dict[str, Path]) -> None:
    views = ExtractorSpec(model=str(checkpoints["roberta"]), random_weights=2).views([1, 2], ["mean", "std"])
    for view, rows in zip(views, embed_views(SEQUENCES, views), strict=True):
        assert np.array_equal(rows, embed(SEQUENCES, view))


def test_models_of_an_ensemble_differ_and_views_of_one_model_do_not() -> None:
    one, view, other = ExtractorSpec(model="a"), ExtractorSpec(model="a", layer=1), ExtractorSpec(model="b")

    def seeds(*members: ExtractorSpec, seed: int = 0) -> list[int | None]:
        twin = untrained(EnsembleSpec(members=members), seed)
        assert isinstance(twin, EnsembleSpec)
        return [member.random_weights for member in twin.members if isinstance(member, ExtractorSpec)]

    assert seeds(one, view, other) == [0, 0, 3]
    assert len({each for seed in range(3) for each in seeds(one, other, seed=seed)}) == 6


def test_random_weights_expect_no_residue(checkpoints: dict[str, Path]) -> None:
    with pytest.raises(NoHead, match="random weights"):
        masked_log_probabilities(Extractor(ExtractorSpec(model=str(checkpoints["bert"]), random_weights=0)), "EVQ", [0])


def test_a_configuration_of_too_many_weights_is_refused_before_any_is_drawn(tmp_path: Path) -> None:
    folder = tiny_checkpoint("bert", tmp_path / "model")
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"intermediate_size": 128', '"intermediate_size": 1000000000'))
    with pytest.raises(CheckpointError, match="describes .* weights"):
        embed(SEQUENCES, ExtractorSpec(model=str(folder), random_weights=0))
