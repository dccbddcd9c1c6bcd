"""Passes of a model that is fine-tuned: pooled vectors with gradients, the same bits whatever the number of threads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.pooling import attention
from antibody_esm.plm.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

AT_ONCE = 4
"""Rows of a part of a batch, which one thread runs."""


@dataclass(frozen=True)
class Text:
    """One input of the model."""

    tokens: NDArray[np.int64]
    """``(tokens,)``."""
    pooled: NDArray[np.int64]
    """``(k,)``, places of the pooled tokens."""


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
        return Text(tokens, np.arange(len(tokens)))
    return Text(tokens, vocabulary.places(text, residues))


def parts(rows: Sequence[int], texts: Sequence[Sequence[Text]], most: int = AT_ONCE) -> list[list[int]]:
    """Return the rows of a batch in parts of similar lengths, the longest first, whatever their order."""
    order = sorted(rows, key=lambda row: (tuple(-len(text.tokens) for text in texts[row]), row))
    return [order[start : start + most] for start in range(0, len(order), most)]


class Passes:
    """Vectors of texts from a model of transformers, with gradients.

    Parameters
    ----------
    module
        Model, whose last states are pooled.
    device
        Its device.
    """

    def __init__(self, module: Any, device: str) -> None:
        self.module = module
        self.device = device

    def states(self, texts: Sequence[Text]) -> "Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]":
        """Yield indices of texts with one number of tokens, their states ``(n, tokens, dim)``, and the pooled tokens.

        The last is ``(n, tokens)``, true for pooled tokens.
        """
        import torch

        by_length: dict[int, list[int]] = {}
        for place, text in enumerate(texts):
            by_length.setdefault(len(text.tokens), []).append(place)
        for length, places in by_length.items():
            tokens = torch.from_numpy(np.stack([texts[place].tokens for place in places])).to(self.device)
            pooled = np.zeros((len(places), length), np.bool_)
            for row, place in enumerate(places):
                pooled[row, texts[place].pooled] = True
            yield places, self._run(tokens).float(), torch.from_numpy(pooled).to(self.device)

    def _run(self, tokens: "torch.Tensor") -> "torch.Tensor":
        import torch

        if self.device == "cpu":
            return self.module(input_ids=tokens).last_hidden_state
        with torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16):
            return self.module(input_ids=tokens).last_hidden_state

    def vectors(self, rows: Sequence[Sequence[Text]], weights: "torch.Tensor | None") -> "torch.Tensor":
        """Return the vectors ``(n, chains * dim)`` of rows, pooled with weights, or by their mean."""
        import torch

        texts = [text for row in rows for text in row]
        by_place: dict[int, torch.Tensor] = {}
        for places, states, pooled in self.states(texts):
            by_place |= zip(places, attention(states, weights, pooled), strict=True)
        return torch.stack([by_place[place] for place in range(len(texts))]).view(len(rows), -1)
