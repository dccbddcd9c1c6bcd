"""Passes of a model that is fine-tuned: pooled vectors with gradients, the same bits whatever the number of threads."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.pooling import attention
from antibody_esm.plm.vocabulary import Vocabulary
from antibody_esm.sequences import BETWEEN

if TYPE_CHECKING:
    import torch

    from antibody_esm.plm.replay import Replay

Map = Callable[..., Any]
"""Function like `map`, which runs calls in threads and yields their results in order."""
AT_ONCE = 4
"""Rows of a part of a batch, which one thread runs on a CPU."""


@dataclass(frozen=True, eq=False)
class Text:
    """One input of the model."""

    text: str
    """In normal form, cut to the model's longest."""
    tokens: NDArray[np.int64]
    """``(tokens,)``."""
    pooled: NDArray[np.int64]
    """``(k,)``, places of the pooled tokens."""
    rows: NDArray[np.int64]
    """``(k,)``, their places among the states that `Extractor.residues` yields: of residues, or of all tokens."""


def read(vocabulary: Vocabulary, text: str, residues: NDArray[np.int64], special: bool) -> Text:
    """Return a text as tokens.

    Parameters
    ----------
    residues
        Places of the residues that are pooled, in the text.
    special
        True pools the tokens around and between chains too.
    """
    tokens = vocabulary.encode([text])[0]
    if special:
        every = np.arange(len(tokens))
        return Text(text, tokens, every, every)
    bar = text.find(BETWEEN) % (len(text) + 1)  # behind the end if there is none
    return Text(text, tokens, vocabulary.places(text, residues), residues - (residues > bar))


def parts(rows: Sequence[int], texts: Sequence[Sequence[Text]], most: int) -> list[list[int]]:
    """Return the rows of a batch in parts of similar lengths, the longest first, whatever their order."""
    order = sorted(rows, key=lambda row: ([-len(text.tokens) for text in texts[row]], row))
    return [order[start : start + most] for start in range(0, len(order), most)]


class States(Protocol):
    """Source of the states of texts."""

    def of(self, texts: Sequence[Text]) -> "Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]":
        """Yield places of texts of one length, their states ``(n, tokens, dim)``, and ``(n, tokens)``, true if pooled.

        Each text is there once.
        """
        ...


def vectors(states: States, rows: Sequence[Sequence[Text]], weights: "torch.Tensor | None") -> "torch.Tensor":
    """Return the vectors ``(n, chains * dim)`` of rows, pooled with weights ``(dim,)``, or by their mean if None."""
    import torch

    texts = [text for row in rows for text in row]
    by_place: dict[int, torch.Tensor] = {}
    for places, of_texts, pooled in states.of(texts):
        by_place |= zip(places, attention(of_texts, weights, pooled), strict=True)
    return torch.stack([by_place[place] for place in range(len(texts))]).view(len(rows), -1)


class FrozenStates:
    """States that no parameter changes, of the pooled tokens alone.

    Parameters
    ----------
    states
        ``(k, dim)`` of each text, in float32.
    device
        Device on which they are pooled.
    """

    def __init__(self, states: Mapping[Text, NDArray[np.float32]], device: str) -> None:
        self._states = states
        self._device = device

    def of(self, texts: Sequence[Text]) -> "Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]":
        """Yield the states of texts, see `States`."""
        import torch

        for places in _alike([len(text.pooled) for text in texts]):
            states = torch.from_numpy(np.stack([self._states[texts[place]] for place in places])).to(self._device)
            yield places, states, torch.ones(states.shape[:2], dtype=torch.bool, device=self._device)


class Passes:
    """States from passes of a model of transformers, with gradients.

    Texts of one number of tokens share a pass, so that there is no padding and no mask.

    Parameters
    ----------
    module
        Model on its device, whose last states are pooled.
    device
        Its device. On a GPU, arithmetic is in bfloat16 where `torch.autocast` allows it, and weights in float32.
    """

    def __init__(self, module: Any, device: str) -> None:
        self._module = module
        self._device = device
        self._kept: dict[Text, torch.Tensor] = {}
        self._replay: Replay | None = None

    def keep(self, texts: Sequence[Text], path: str, below: int, run: Map) -> None:
        """Compute the states below a layer once, for all later passes, if layers return nothing else.

        Parameters
        ----------
        texts
            All inputs of later passes.
        path
            Path of the layers.
        below
            Number of the last layer that no update changes, from 1.
        run
            Function like `map`, which runs calls in threads.
        """
        import torch

        from antibody_esm.plm.hidden_states import HiddenStates
        from antibody_esm.plm.replay import replayed, returns_states_alone

        if not returns_states_alone(self._module, path, self._tokens(texts[:1])):
            return
        hidden = HiddenStates(self._module.get_submodule(path))
        alike = [[texts[place] for place in places] for places in _alike([len(text.tokens) for text in texts])]

        def states(batch: list[Text]) -> "torch.Tensor":
            outputs: list[torch.Tensor] = []
            with torch.no_grad(), hidden.used([below], lambda _, states: outputs.append(states.cpu().clone())):
                self._run(batch)
            return outputs[0]

        batches = [many[start : start + AT_ONCE] for many in alike for start in range(0, len(many), AT_ONCE)]
        kept = {
            text: row
            for batch, rows in zip(batches, run(states, batches), strict=True)
            for text, row in zip(batch, rows, strict=True)
        }
        self._kept, self._replay = kept, replayed(self._module, path, below)

    def of(self, texts: Sequence[Text]) -> "Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]":
        """Yield the states of texts, see `States`."""
        import torch

        for places in _alike([len(text.tokens) for text in texts]):
            alike = [texts[place] for place in places]
            pooled = np.zeros((len(alike), len(alike[0].tokens)), np.bool_)
            for row, text in enumerate(alike):
                pooled[row, text.pooled] = True
            yield places, self._run(alike).float(), torch.from_numpy(pooled).to(self._device)

    def _tokens(self, texts: Sequence[Text]) -> "torch.Tensor":
        import torch

        return torch.from_numpy(np.stack([text.tokens for text in texts])).to(self._device)

    def _run(self, texts: Sequence[Text]) -> "torch.Tensor":
        """Return the last states ``(n, tokens, dim)`` of texts of one length."""
        import torch

        replay: Any = nullcontext()
        if self._replay is not None:
            replay = self._replay.of(torch.stack([self._kept[text] for text in texts]).to(self._device))
        half = torch.autocast(torch.device(self._device).type, dtype=torch.bfloat16, enabled=self._device != "cpu")
        with replay, half:
            return self._module(input_ids=self._tokens(texts)).last_hidden_state


def _alike(lengths: Sequence[int]) -> list[list[int]]:
    """Return the places of equal lengths together, in the order of their first."""
    by_length: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        by_length.setdefault(length, []).append(place)
    return list(by_length.values())
