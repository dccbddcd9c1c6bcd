"""Low-rank updates of linear maps: which ones, by name, their training by peft, and their sum with the weights.

The method is LoRA (doi:10.48550/arXiv.2106.09685): a weight W ``(out, in)`` becomes ``W + alpha / rank * B A``.
"""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from antibody_esm.plm.adapters import PREFIX, Adapter, Tensor
from antibody_esm.plm.checkpoints import Checkpoint
from antibody_esm.plm.families import family_of
from antibody_esm.specs.finetuning import FineTuneSpec, LinearMap

if TYPE_CHECKING:
    from antibody_esm.plm.dropout import Noise

_NAMES: tuple[dict[LinearMap, tuple[str, ...]], ...] = (
    {  # BERT, RoBERTa, RoFormer, ESM
        "query": ("attention.self.query",),
        "key": ("attention.self.key",),
        "value": ("attention.self.value",),
        "output": ("attention.output.dense",),
        "up": ("intermediate.dense",),
        "down": ("output.dense",),
    },
    {  # ESM-C
        "query": ("self_attn.q_proj",),
        "key": ("self_attn.k_proj",),
        "value": ("self_attn.v_proj",),
        "output": ("self_attn.o_proj",),
        "up": ("mlp.gate_proj", "mlp.up_proj"),
        "down": ("mlp.down_proj",),
    },
    {  # T5: Ankh's feed-forward part has a gate
        "query": ("layer.0.SelfAttention.q",),
        "key": ("layer.0.SelfAttention.k",),
        "value": ("layer.0.SelfAttention.v",),
        "output": ("layer.0.SelfAttention.o",),
        "up": ("layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wi_0", "layer.1.DenseReluDense.wi_1"),
        "down": ("layer.1.DenseReluDense.wo",),
    },
)
"""Names of the linear maps within a layer, by family. A map that a model lacks, such as a gate, is left out."""


def numbers_of(checkpoint: Checkpoint, spec: FineTuneSpec, layer: int) -> list[int]:
    """Return the numbers of the layers that a spec updates, from 1 to the extractor's layer.

    Raises
    ------
    CheckpointError
        If there is no such layer.
    """
    if layer < 1:
        raise checkpoint.error("layer 0 has no linear maps to update; choose a layer from 1 on, or method='head'")
    if spec.layers is None:
        return list(range(1, layer + 1))
    if isinstance(spec.layers, int):
        return list(range(max(1, layer - spec.layers + 1), layer + 1))
    if max(spec.layers) > layer:
        raise checkpoint.error(f"layer {max(spec.layers)} cannot be updated: the vectors are those of layer {layer}")
    return sorted(spec.layers)


def targets(checkpoint: Checkpoint, module: Any, spec: FineTuneSpec, layer: int) -> list[str]:
    """Return the names of the linear maps that a spec updates, in the model of transformers.

    Raises
    ------
    CheckpointError
        If the linear maps of models of its type have no names here, or there is no such layer.
    """
    from torch import nn

    path, numbers = family_of(checkpoint).layers, numbers_of(checkpoint, spec, layer)
    kind = checkpoint.config.get("model_type")
    if checkpoint.converter is not None and checkpoint.converter.model_class("AutoModel") is not None:
        path = None  # a network of its own
    linear = {name for name, part in module.named_modules() if type(part) is nn.Linear}
    for names in _NAMES if path is not None else ():
        if f"{path}.0.{names['query'][0]}" in linear:
            every = [f"{path}.{n - 1}.{name}" for n in numbers for part in spec.modules for name in names[part]]
            return sorted(name for name in every if name in linear)
    raise checkpoint.error(
        f"query, key and value of models of type {kind} are not known here, so that method='lora' cannot update them; "
        "method='head' trains the weights of the pooling alone"
    )


def inject(module: Any, names: list[str], spec: FineTuneSpec, noise: "Noise") -> dict[str, Any]:
    """Put updates into a model, which is changed, and return their matrices by the names of an adapter's tensors.

    Parameters
    ----------
    names
        Linear maps, see `targets`.
    spec
        Rank, factor, dropout, and the seed of matrix A; matrix B is 0, so that the model gives the same states.
    noise
        Random numbers of dropout.

    Raises
    ------
    ImportError
        Without peft.
    """
    import torch

    from antibody_esm.plm.dropout import Dropout

    peft = _peft()
    config = peft.LoraConfig(r=spec.rank, lora_alpha=spec.alpha, target_modules=names, bias="none")
    with torch.random.fork_rng(devices=[]):  # peft draws weights, which are replaced here
        peft.inject_adapter_in_model(config, module)
    numbers = np.random.Generator(np.random.PCG64(spec.seed))
    matrices = {}
    for number, name in enumerate(names):
        update = module.get_submodule(name)
        if spec.dropout:
            update.lora_dropout["default"] = Dropout(noise, number)
        first, second = update.lora_A["default"].weight, update.lora_B["default"].weight
        with torch.no_grad():
            bound = first.shape[1] ** -0.5
            drawn = numbers.uniform(-bound, bound, tuple(first.shape)).astype(np.float32)
            first.copy_(torch.from_numpy(drawn))
            second.zero_()
        matrices[f"{PREFIX}{name}.lora_A.weight"] = first
        matrices[f"{PREFIX}{name}.lora_B.weight"] = second
    return matrices


def _peft() -> Any:
    """Import peft, which would hide all later warnings of the caller's process."""
    try:
        with warnings.catch_warnings():
            import peft
    except ImportError as error:
        raise ImportError(
            'fine-tuning requires peft; run: pip install ".[finetune]" in a checkout of antibody_esm'
        ) from error
    return peft


def recompute(module: Any, path: str) -> None:
    """Let a model compute the states of each layer again for the gradients, in place of keeping them.

    Parameters
    ----------
    module
        Model of transformers, which is changed.
    path
        Path of its layers.
    """
    from antibody_esm.plm.recomputation import Recomputed
    from antibody_esm.plm.replay import Replay

    layers = module.get_submodule(path)
    for number, layer in enumerate(layers):
        if not isinstance(layer, Replay):
            layers[number] = Recomputed(layer)


def merge(checkpoint: Checkpoint, module: Any, adapter: Adapter) -> None:
    """Add the updates of an adapter to the weights of a model of transformers, which is changed.

    Sums are computed in float32, and products in float64, so that no number of threads changes a bit.

    Raises
    ------
    CheckpointError
        If the adapter belongs to other files, or has an update that the model has no place for.
    """
    import torch
    from torch import nn

    if checkpoint.digest != adapter.facts.base:
        raise checkpoint.error(
            f"the adapter {adapter.digest} was trained on a model with digest {adapter.facts.base}, and its files have "
            f"digest {checkpoint.digest}"
        )
    modules = dict(module.named_modules())
    for name, (first, second) in adapter.updates.items():
        linear: Any = modules.get(name)
        if type(linear) is not nn.Linear or tuple(linear.weight.shape) != (len(second), first.shape[1]):
            raise checkpoint.error(
                f"the adapter {adapter.digest} has an update that fits no linear map of the model: {name[:80]}"
            )
        with torch.no_grad():
            update = torch.from_numpy(_product(first, second, adapter.scale))
            linear.weight.copy_(linear.weight.float() + update)
        if not torch.isfinite(linear.weight).all():
            raise checkpoint.error(f"the adapter {adapter.digest} makes weights that are not finite: {name[:80]}")
    if adapter.pooling is not None and len(adapter.pooling) != checkpoint.dim:
        raise checkpoint.error(f"the adapter {adapter.digest} has a pooling of {len(adapter.pooling)} numbers")


def _product(first: Tensor, second: Tensor, scale: float) -> Tensor:
    with np.errstate(over="ignore", invalid="ignore"):  # the sum is checked
        return (second.astype(np.float64) @ first.astype(np.float64) * scale).astype(np.float32)
