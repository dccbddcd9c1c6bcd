"""States of inner layers, passed to a function while the model runs."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any


class HiddenStates:
    """Hooks on the layers of a model; each thread uses the states of its own passes.

    A layer's state is its output, before any norm that follows the last layer; the state of layer 0 is the input of the
    first layer. transformers counts hidden states in the same way.

    Parameters
    ----------
    layers
        Modules of torch, in their order.
    """

    def __init__(self, layers: Any) -> None:
        self._local = threading.local()
        layers[0].register_forward_pre_hook(self._before_first, with_kwargs=True)
        for number, layer in enumerate(layers, start=1):
            layer.register_forward_hook(self._after(number))

    @contextmanager
    def used(self, layers: Collection[int], use: Callable[[int, Any], None]) -> Iterator[None]:
        """Call a function with the states of these layers in the passes that this thread runs meanwhile."""
        self._local.layers, self._local.use = frozenset(layers), use
        try:
            yield
        finally:
            self._local.layers = frozenset()

    def _pass_on(self, layer: int, states: Any) -> None:
        if layer in getattr(self._local, "layers", ()):
            self._local.use(layer, states[0] if isinstance(states, tuple) else states)

    def _before_first(self, _: Any, arguments: Any, named: dict[str, Any]) -> None:
        self._pass_on(0, arguments[0] if arguments else named["hidden_states"])

    def _after(self, number: int) -> Callable[[Any, Any, Any], None]:
        def hook(_: Any, __: Any, states: Any) -> None:
            self._pass_on(number, states)

        return hook
