"""Settings that change no number."""

from typing import Annotated

from pydantic import Field, PositiveInt

from antibody_esm.specs.base import Frozen


class RuntimeSpec(Frozen):
    """How to run: everything that must not change a number, and so has no fingerprint."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """``cuda`` is every CUDA device, with one worker each; ``auto`` is the first one if there is any, else the CPU."""
    workers: PositiveInt | None = None
    """Threads that run the language model on a CPU, each with one torch thread; None is one per usable core."""
    batch_tokens: PositiveInt | None = None
    """Tokens in a batch, at most; a batch has two sequences at least. None is 1024 on a CPU and 16384 elsewhere; a
    batch for which a device has not the memory is halved."""
    progress: bool | None = None
    """Show a progress bar on work longer than a second; None is only where somebody looks (terminal, notebook)."""
