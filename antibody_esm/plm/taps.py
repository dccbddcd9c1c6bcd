"""States of inner layers are used while the model runs, and not kept."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from antibody_esm.plm.families import Family


class Taps:
    """Hooks on the layers of a model and its copies, which threads open for themselves.

    A layer's state is what the layer gives, before any norm that follows the last one; that of layer 0 is what enters
    the first layer. These are the hidden states as transformers counts them.
    """

    def __init__(self, models: Iterable[Any], family: Family) -> None:
        self._local = threading.local()
        for model in models:
            layers = model.get_submodule(family.layers)
            layers[0].register_forward_pre_hook(self._before_first, with_kwargs=True)
            for number, layer in enumerate(layers, start=1):
                layer.register_forward_hook(self._after(number))

    @contextmanager
    def open(self, layers: Collection[int], use: Callable[[int, Any], None]) -> Iterator[None]:
        """Use the states of some layers of what this thread runs meanwhile."""
        self._local.layers, self._local.use = frozenset(layers), use
        try:
            yield
        finally:
            self._local.layers = frozenset()

    def _give(self, layer: int, states: Any) -> None:
        if layer in getattr(self._local, "layers", ()):
            self._local.use(layer, states[0] if isinstance(states, tuple) else states)

    def _before_first(self, _: Any, arguments: Any, named: dict[str, Any]) -> None:
        self._give(0, arguments[0] if arguments else named["hidden_states"])

    def _after(self, number: int) -> Callable[[Any, Any, Any], None]:
        def hook(_: Any, __: Any, states: Any) -> None:
            self._give(number, states)

        return hook
