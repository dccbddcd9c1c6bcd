"""Spec of the fine-tuning of a language model."""

from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from antibody_esm.specs.base import Seed, Spec

LinearMap = Literal["query", "key", "value", "output", "up", "down"]
"""Linear maps of a layer: query, key, value and output of its attention; into (``up``, with a gate if there is one) and
out of (``down``) its feed-forward part."""


class FineTuneSpec(Spec):
    """Fine-tuning of a language model on labels: an adapter is trained, and the model's own weights stay frozen.

    A linear head reads the pooled vectors during the training. It begins with the weights that are best for the frozen
    model, see `antibody_esm.plm.finetuning`, and is dropped at the end: classifiers are fitted on the new vectors.

    Examples
    --------
    >>> FineTuneSpec(rank=16, layers=2)
    FineTuneSpec(rank=16, layers=2)
    """

    method: Literal["lora", "head"] = "lora"
    """``lora``: low-rank updates of linear maps (doi:10.48550/arXiv.2106.09685). ``head``: the weights of
    ``pooling="attention"`` alone, on frozen states, which are computed once."""
    rank: Annotated[int, Field(ge=1, le=256)] = 8
    """Rank of each update; without effect for ``head``, as are the four fields below."""
    alpha: PositiveFloat = 16.0
    """Updates are multiplied by ``alpha / rank``."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the input of each update that is dropped in training."""
    layers: PositiveInt | Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | None = None
    """Layers that are updated: a number of last ones, counted from the extractor's layer down; or their numbers, from 1
    on; None is all up to the extractor's."""
    modules: Annotated[tuple[LinearMap, ...], Field(min_length=1)] = ("query", "value")
    """Linear maps that are updated in these layers."""
    learning_rate: PositiveFloat = 5e-4
    """Step size of AdamW (doi:10.48550/arXiv.1711.05101), constant."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    epochs: PositiveInt = 10
    """Most epochs. The weights of the epoch with the lowest validation loss are kept; before the first epoch, they are
    those of the frozen model."""
    patience: PositiveInt = 3
    """Number of epochs without a lower validation loss after which training ends."""
    batch: PositiveInt = 16
    """Number of sequences, or of pairs, before each step."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the training units that is held out for early stopping."""
    pooling: Literal["mean", "attention"] = "mean"
    """Pooling of residue vectors. ``attention`` is a weighted mean: weights are a softmax over the residues of products
    of their states with a vector that is trained, and that is part of the adapter."""
    seed: Seed = 0
    """Seed of initial weights, of the held-out units, of the order of rows, and of dropout."""

    @model_validator(mode="after")
    def _head_has_weights(self) -> Self:
        if self.method == "head" and self.pooling != "attention":
            raise ValueError(
                "method='head' trains the weights of the pooling alone, so it requires pooling='attention'"
            )
        return self

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for field in ("modules", "layers"):
            values = getattr(self, field)
            if isinstance(values, tuple) and len(set(values)) < len(values):
                raise ValueError(f"{field} names one twice")
        return self

    @property
    def words(self) -> str:
        """The method in words.

        Examples
        --------
        >>> FineTuneSpec(layers=2).words
        'low-rank updates (LoRA, rank 8) of query and value in the 2 layers up to that of the vectors'
        >>> FINE_TUNINGS["head"].words
        'training the weights of its attention pooling alone'
        """
        if self.method == "head":
            return "training the weights of its attention pooling alone"
        maps = " and ".join(filter(None, [", ".join(self.modules[:-1]), self.modules[-1]]))
        match self.layers:
            case None:
                layers = "all layers up to that of the vectors"
            case 1:
                layers = "the layer of the vectors"
            case int(number):
                layers = f"the {number} layers up to that of the vectors"
            case numbers:
                layers = f"layer{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
        pooling = ", with attention pooling" if self.pooling == "attention" else ""
        return f"low-rank updates (LoRA, rank {self.rank}) of {maps} in {layers}{pooling}"


FINE_TUNINGS: MappingProxyType[str, FineTuneSpec] = MappingProxyType(
    {"lora": FineTuneSpec(), "head": FineTuneSpec(method="head", pooling="attention", learning_rate=1e-2, epochs=50)}
)
"""Fine-tunings by name."""
