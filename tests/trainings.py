"""Trainings of tiny models on short texts, for tests."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from antibody_esm import ExtractorSpec, FineTuneSpec, RuntimeSpec
from antibody_esm.plm.adapter_folders import offer
from antibody_esm.plm.adapters import Adapter
from antibody_esm.plm.finetuning import finetune
from antibody_esm.specs.finetuning import LinearMap
from antibody_esm.testing import Kind, tiny_checkpoint

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
