"""Settings that change no number."""

from typing import Annotated

from pydantic import Field, PositiveInt

from antibody_esm.specs.base import Frozen


class RuntimeSpec(Frozen):
    """Device, workers, progress, places: settings that must not change a number, and hence have no fingerprint."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """``cuda`` is every CUDA device, with a copy of the model each; ``auto`` is the first CUDA device, else the CPU."""
    workers: PositiveInt | None = None
    """Threads that run the language model on a CPU, each with one torch thread; None is one per usable core."""
    batch_tokens: PositiveInt | None = None
    """Most tokens in a batch, which has at least two sequences. None is 1024 on a CPU and 16384 on ``mps``; on CUDA
    devices it depends on their memory and on the model, at most ``2**26`` divided by its dimension. If a device has too
    little memory for a batch, the batch is halved."""
    progress: bool | None = None
    """True shows a progress bar on work longer than a second; None shows it only in a terminal or notebook, and lets
    commands print a line instead elsewhere; False shows neither."""
    checkpoints: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Folders in which the files of a pinned spec are looked for: checkpoints, or folders of them. Only files with the
    digest of the spec are taken. The environment variable ``ANTIBODY_ESM_CHECKPOINTS`` names more of them."""
    gradient_checkpointing: bool = False
    """True computes the states of each layer a second time when a model is fine-tuned, in place of keeping them: less
    memory, a third more time, and the same adapter."""
