"""Models with random weights, from a configuration and a seed.

The initialisation is transformers' own for the family; only its random numbers are replaced. PyTorch's depend on the
instructions of the processor, and on what else uses its generator. NumPy's depend on the seed alone, and PyTorch's
generator is left as it was.
"""

from typing import Any

import numpy as np

from antibody_esm.errors import CRAFTED, CheckpointError
from antibody_esm.plm.checkpoints import Checkpoint
from antibody_esm.plm.weights import class_of, quiet_transformers

_LARGEST = 2**35
"""Most numbers of a model. The weights of a trained model bound them; those of a configuration alone do not."""


def initialised(checkpoint: Checkpoint, model_class: str, dtype: Any, seed: int, **options: Any) -> Any:
    """Return a model on the CPU with random weights: the same bits in every process and thread, and on every CPU.

    Parameters
    ----------
    checkpoint
        Checkpoint; its weights are not read.
    model_class
        Name of a class of transformers.
    dtype
        Number format of torch; numbers are drawn in float32 and rounded.
    seed
        Seed of the weights.
    options
        Arguments of the class.

    Raises
    ------
    CheckpointError
        If the configuration cannot be read, or describes no model that can be initialised.
    """
    import torch
    import transformers
    from huggingface_hub.errors import StrictDataclassError

    chosen = class_of(checkpoint, model_class, dtype)
    make = chosen.from_config if chosen.__name__.startswith("Auto") else chosen._from_config
    settings = getattr(chosen, "config_class", None) or transformers.AutoConfig
    with checkpoint.staged() as folder, quiet_transformers():
        try:
            config = settings.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            with torch.device("meta"):
                size = sum(parameter.numel() for parameter in make(config, dtype=torch.float32, **options).parameters())
            if size > _LARGEST:
                raise checkpoint.error(f"its config.json describes {size:,} weights; at most {_LARGEST:,} are drawn")
            with torch.device("cpu"), _drawn(seed):
                model = make(config, dtype=torch.float32, **options)
        except CheckpointError:
            raise
        except (*CRAFTED, StrictDataclassError) as error:
            raise checkpoint.error(f"no random weights can be drawn: {str(error)[:500]}") from error
    return model.to(dtype)


def _drawn(seed: int) -> Any:
    """Return a context in which this thread's random numbers of PyTorch follow from the seed."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    numbers = np.random.Generator(np.random.PCG64(seed))

    class Drawn(TorchDispatchMode):  # type: ignore[misc]  # torch has no types for it
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if torch.Tag.nondeterministic_seeded not in func.tags:
                return func(*args, **kwargs)
            name = func.overloadpacket.__name__
            if name in ("randn", "rand"):  # a new tensor
                kwargs = {key: value for key, value in kwargs.items() if key != "generator"}
                tensor, ends = torch.empty(args[0], **kwargs), (0.0, 1.0)
            elif name in ("normal_", "uniform_"):  # a tensor to fill
                tensor = args[0]
                named = ("mean", "std") if name == "normal_" else ("from", "to")
                ends = tuple(
                    args[place] if len(args) > place else kwargs.get(key, default)
                    for place, key, default in zip((1, 2), named, (0.0, 1.0), strict=True)
                )
            else:
                raise ValueError(f"its initialisation draws random numbers by {name}")
            if name in ("normal_", "randn"):
                values = numbers.standard_normal(tuple(tensor.shape)) * ends[1] + ends[0]
            else:
                values = numbers.random(tuple(tensor.shape)) * (ends[1] - ends[0]) + ends[0]
            tensor.copy_(torch.from_numpy(np.asarray(values)))
            return tensor

    return Drawn()
