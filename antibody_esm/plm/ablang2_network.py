"""Network of the package ablang2 under transformers' interface: tokens to states, without a mask."""

from types import SimpleNamespace
from typing import Any

from ablang2.models.ablang2.ablang import AbHead, AbRep
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel


class Settings(PretrainedConfig):  # type: ignore[misc]  # transformers is not typed here
    """Sizes of a network."""

    model_type = "ablang2"
    hidden_size: int = 480
    num_hidden_layers: int = 12
    num_attention_heads: int = 20
    hidden_act: str = "swiglu"
    layer_norm_eps: float = 1e-12
    vocab_size: int = 26
    mask_token_id: int = 23


class _Network(PreTrainedModel):  # type: ignore[misc]  # transformers is not typed here
    config_class = Settings
    base_model_prefix = "none"  # encoder and model with head have the same names of weights
    _keys_to_ignore_on_load_unexpected = (r"^AbHead\.",)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.AbRep = AbRep(
            config.vocab_size,
            config.hidden_size,
            config.num_attention_heads,
            config.num_hidden_layers,
            config.pad_token_id,
            config.mask_token_id,
            config.layer_norm_eps,
            config.hidden_act,
            0.0,
        )

    def _init_weights(self, module: nn.Module) -> None:
        """Leave the weights as the package drew them."""


class Encoder(_Network):
    """Encoder without its head."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.post_init()

    def forward(self, input_ids: Tensor) -> SimpleNamespace:
        """Return the last states ``(n, tokens, dim)`` of tokens ``(n, tokens)``."""
        return SimpleNamespace(last_hidden_state=self.AbRep(input_ids).last_hidden_states)


class WithHead(_Network):
    """Encoder with its head."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        weights = self.AbRep.aa_embed_layer.weight
        self.AbHead = AbHead(config.vocab_size, config.hidden_size, weights, config.layer_norm_eps, config.hidden_act)
        self.post_init()

    def forward(self, input_ids: Tensor) -> SimpleNamespace:
        """Return the logits ``(n, tokens, letters)`` of tokens ``(n, tokens)``."""
        return SimpleNamespace(logits=self.AbHead(self.AbRep(input_ids).last_hidden_states))
