"""Adapters that are kept, and found again for the same training alone."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antibody_esm import Extractor, ExtractorSpec, embed
from antibody_esm.errors import CheckpointError, StoreError
from antibody_esm.plm.adapter_folders import AdapterFolder, offer
from antibody_esm.plm.adapters import Adapter
from antibody_esm.plm.finetuning import adapted
from antibody_esm.testing import Kind
from trainings import FAST, LABEL, TEXTS, checkpoint, of_any_epoch, tuned


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
