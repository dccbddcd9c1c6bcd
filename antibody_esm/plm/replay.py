"""Layer in the place of lower ones, which returns their states from memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class Replay(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """Layer that returns states that were kept; each thread has its own."""

    def __init__(self) -> None:
        super().__init__()
        self._local = threading.local()

    @contextmanager
    def of(self, states: torch.Tensor) -> Iterator[None]:
        """Return these states ``(n, tokens, dim)`` in the passes that this thread runs meanwhile."""
        self._local.states = states
        try:
            yield
        finally:
            self._local.states = None

    def forward(self, *_: Any, **__: Any) -> torch.Tensor:
        """Return the states."""
        return self._local.states


def replayed(module: Any, path: str, below: int) -> Replay:
    """Replace the first layers of a model, which is changed, by one that returns kept states."""
    replay = Replay()
    module.set_submodule(path, nn.ModuleList([replay, *module.get_submodule(path)[below:]]))
    return replay


def returns_states_alone(module: Any, path: str, tokens: torch.Tensor) -> bool:
    """Return True if a layer of a model returns its states and nothing else, which the next layer would need."""
    outputs: list[Any] = []
    hook = module.get_submodule(path)[0].register_forward_hook(lambda *states: outputs.append(states[-1]))
    with torch.no_grad():
        module(input_ids=tokens)
    hook.remove()
    return isinstance(outputs[0], torch.Tensor)
