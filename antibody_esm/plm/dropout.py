"""Dropout whose random numbers follow from a place in the training, and from no generator that threads share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


class Noise:
    """Random numbers of dropout: each mask follows from a seed, a place in the training, an update and a count.

    A pass that is computed again for its gradients has the same masks.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self.rate = rate
        self._seed = seed
        self._local = threading.local()

    @contextmanager
    def of(self, *place: int) -> Iterator[None]:
        """Drop numbers in the passes that this thread runs meanwhile."""
        self._local.place = place
        try:
            yield
        finally:
            self._local.place = None

    def mask(self, update: int, states: torch.Tensor) -> torch.Tensor | None:
        """Return the factors of states that an update reads; None outside of `of`."""
        place = getattr(self._local, "place", None)
        if place is None:
            return None
        numbers = np.random.Generator(np.random.SFC64([self._seed, 2, *place, update, *states.shape]))
        kept = numbers.random(tuple(states.shape), np.float32) >= self.rate
        return torch.from_numpy(kept).to(states.device, states.dtype) / (1 - self.rate)


class Dropout(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """Dropout of the inputs of one update."""

    def __init__(self, noise: Noise, update: int) -> None:
        super().__init__()
        self.noise = noise
        self.update = update

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the states with dropped numbers, if the thread trains."""
        mask = self.noise.mask(self.update, states)
        return states if mask is None else states * mask
