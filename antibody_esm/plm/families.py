"""Differences between families of language models: spacing, parts that may be missing, length.

To add a family, add a row to `_FAMILIES` and a tiny checkpoint to `antibody_esm.testing`; see the developer guide.
"""

from dataclasses import dataclass, replace
from typing import Any

from antibody_esm.errors import CRAFTED
from antibody_esm.plm.checkpoints import Checkpoint

_POSITIONS = "max_position_embeddings"


@dataclass(frozen=True)
class Family:
    """Facts about models of one ``model_type`` that read proteins."""

    separator: str | None
    """Text between residues for the tokenizer; None tries no text and then a space."""
    model_options: tuple[tuple[str, Any], ...] = ()
    """Arguments of the model class that leave out parts without effect on an embedding."""
    recomputed: tuple[str, ...] = ()
    """Weights that a checkpoint may lack, since the model computes them or an embedding does not use them."""
    padding: int | None = None
    """Padding token if a configuration has no ``pad_token_id``, for families whose positions start in the row behind
    that token's number; None if positions start in row 0."""
    positions: str = _POSITIONS
    """Configuration key of the number of positions."""
    relative: bool = False
    """True if positions are relative, so that a configuration without their number has no limit."""
    model_class: str = "AutoModel"
    """Class of transformers that is the encoder."""
    verbatim_tokenizer: bool = False
    """True if a ``tokenizer.json`` is read unchanged, since the class in its configuration would rebuild a part."""
    layers: str | None = None
    """Path of the layers in the model, so that layers above the last required one are removed; None keeps all."""
    final_norm: str | None = None
    """Path of the final norm; removed together with the last layer."""
    apart: bool = False
    """True if each sequence needs a pass of its own, since its bits would depend on the others of a pass."""
    between: str | None = None
    """Token between the chains of a pair, in models of this family that were trained on pairs; None if there is no
    such model, or if models differ in it: `ExtractorSpec.separator` names it."""


_BERT = Family(
    separator=" ",
    model_options=(("add_pooling_layer", False),),
    layers="encoder.layer",
    between="[SEP]",  # IgBert, doi:10.1371/journal.pcbi.1012646; all tokens are of one type
)

_ROBERTA = Family(
    separator=None,  # vocabularies of bytes have no space, those of sentence pieces need one
    model_options=(("add_pooling_layer", False),),
    padding=1,
    layers="encoder.layer",
)

_T5 = Family(
    separator=None,  # ProtT5 needs spaces, Ankh none
    relative=True,
    model_class="T5EncoderModel",
    verbatim_tokenizer=True,
    layers="encoder.block",
    final_norm="encoder.final_layer_norm",
    between="</s>",  # IgT5, doi:10.1371/journal.pcbi.1012646
)

_FAMILIES = {
    "esm": Family(
        separator="",
        model_options=(("add_pooling_layer", False),),
        recomputed=("rotary_embeddings.inv_freq", "contact_head.", "embeddings.position_ids"),
        padding=1,
        layers="encoder.layer",
        final_norm="encoder.emb_layer_norm_after",
    ),
    "esmc": Family(separator="", relative=True, layers="layers", final_norm="norm", between="|"),
    "ablang2": Family(
        separator="",
        relative=True,
        layers="AbRep.encoder_blocks",
        final_norm="AbRep.layer_norm_after_encoder_blocks",
        between="|",
    ),
    "bert": _BERT,
    "roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "data2vec-text": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "roberta-prelayernorm": replace(_ROBERTA, final_norm="LayerNorm"),
    "xlm-roberta-xl": replace(_ROBERTA, final_norm="encoder.LayerNorm"),
    # Their positions are RoBERTa's; their layers take or return more than states.
    **{kind: replace(_ROBERTA, layers=None) for kind in ("ibert", "longformer", "mpnet", "xmod")},
    "luke": replace(_ROBERTA, layers=None, model_options=()),
    "roformer": Family(separator=" ", recomputed=("encoder.embed_positions.weight",), layers="encoder.layer"),
    "t5": _T5,
    "mt5": replace(_T5, model_class="MT5EncoderModel", between=None),
    "umt5": replace(_T5, model_class="UMT5EncoderModel", between=None),
    **{
        kind: Family(separator=None, positions="n_positions")
        for kind in ("codegen", "ctrl", "gpt2", "gpt_bigcode", "gptj", "openai-gpt")
    },
    "mpt": Family(separator=None, positions="max_seq_len"),
}
_PLAIN = Family(separator=None, recomputed=("pooler.",))
_FAMILIES |= dict.fromkeys(
    (
        *("albert", "big_bird", "convbert", "deberta", "deberta-v2", "distilbert", "electra", "ernie", "flaubert"),
        *("fnet", "gpt_neo", "gpt_neox", "llama", "megatron-bert", "mistral", "modernbert", "rembert", "xlm", "xlnet"),
    ),
    _PLAIN,
)
_OTHER = replace(_PLAIN, apart=True)
"""Types without a row: experts and masks of windows multiply matrices whose sizes depend on all sequences of a pass."""


def family_of(checkpoint: Checkpoint) -> Family:
    """Return the family of a checkpoint."""
    return _FAMILIES.get(str(checkpoint.config.get("model_type")), _OTHER)


def is_causal(checkpoint: Checkpoint) -> bool:
    """Return True if the state of a token depends on the tokens before it only, as in GPT-2."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    config, kind = checkpoint.config, str(checkpoint.config.get("model_type"))
    if checkpoint.converter is not None or family_of(checkpoint).model_class != "AutoModel":
        return False
    if config.get("is_decoder") is True:
        return True
    generative = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return generative and kind not in _BOTH_WAYS and config.get("use_bidirectional_attention") is not True


_BOTH_WAYS = ("bert-generation", "cpmant", "xlnet")
"""Types of models that transformers lists as causal and whose encoder reads in both directions."""


def shorten(model: Any, family: Family, layers: int) -> None:
    """Remove the parts that run after a number of layers; the states up to there keep their bits.

    The configuration is unchanged too: some models scale their states by its number of layers.
    """
    if family.layers is None or layers >= len(model.get_submodule(family.layers)):
        return
    from torch import nn

    kept = model.get_submodule(family.layers)[: max(1, layers)]  # layer 0 is the input of the first layer
    model.set_submodule(family.layers, kept)
    if family.final_norm is not None:
        model.set_submodule(family.final_norm, nn.Identity())


def max_length(checkpoint: Checkpoint) -> int:
    """Return the longest sequence in residues, leaving room for a start and an end token.

    Raises
    ------
    CheckpointError
        If positions are counted from a padding token that the configuration does not have.
    """
    family = family_of(checkpoint)
    positions = checkpoint.config.get(family.positions)
    if positions is None and not family.relative:
        positions = _positions_of(checkpoint)
    if positions is None:
        return 2**31 - 1
    first = 0
    if family.padding is not None:
        padding = checkpoint.config.get("pad_token_id", family.padding)
        if type(padding) is not int or padding < 0:
            problem = f"its config.json has pad_token_id {padding!r}, behind which its positions start"
            raise checkpoint.error(problem[:200])
        first = padding + 1
    longest = int(positions) - first - 2
    if longest < 1:
        raise checkpoint.error(f"its config.json has {positions} positions, which leave none for a residue")
    return longest


def _positions_of(checkpoint: Checkpoint) -> int | None:
    """Return the number of positions under transformers' name for the type, or the type's default; None if neither."""
    from transformers import CONFIG_MAPPING

    kind = str(checkpoint.config.get("model_type"))
    if kind not in CONFIG_MAPPING:
        return None  # refused when the model is read
    name = CONFIG_MAPPING[kind].attribute_map.get(_POSITIONS, _POSITIONS)
    positions = checkpoint.config.get(name)
    if positions is None:
        positions = getattr(_defaults(checkpoint, kind), _POSITIONS, None)
    return positions if type(positions) is int and positions > 0 else None  # XLNet has -1 for no limit


def _defaults(checkpoint: Checkpoint, kind: str) -> Any:
    from transformers import CONFIG_MAPPING

    try:
        return CONFIG_MAPPING[kind]()
    except CRAFTED as error:  # two models in one, such as encoder-decoder
        raise checkpoint.error(f"models of type {kind} have no configuration of their own") from error


def refuse_unsuited(checkpoint: Checkpoint) -> None:
    """Raise a CheckpointError for models that transformers lacks or would build in another size.

    Models whose last states are not an encoder's are refused too.
    """
    import transformers

    kind = checkpoint.config.get("model_type")
    if kind is None:
        raise checkpoint.error("its config.json names no model_type")
    if kind in transformers.CONFIG_MAPPING:
        defaults = _defaults(checkpoint, kind)
        _refuse_states(checkpoint, defaults)
        _refuse_names(checkpoint, defaults)
        return
    own = "; it comes with code of its own, which is never run" if "auto_map" in checkpoint.config else ""
    raise checkpoint.error(f"transformers {transformers.__version__} has no model of type {kind!r}{own}")


def _refuse_states(checkpoint: Checkpoint, defaults: Any) -> None:
    """Raise an error for models whose last states are not those of an encoder, or depend on more than the sequence."""
    kind = checkpoint.config["model_type"]
    has_decoder = checkpoint.config.get("is_encoder_decoder", defaults.is_encoder_decoder)
    if has_decoder and family_of(checkpoint).model_class == "AutoModel":
        raise checkpoint.error(f"models of type {kind} end in a decoder; of such models only T5's encoder is read")
    # Such positions have weights, without which transformers 5 computes absolute ones.
    if str(checkpoint.config.get("position_embedding_type")).startswith("relative_key"):
        raise checkpoint.error(f"its positions are relative, which transformers does not compute in {kind} models")
    # transformers changes the attention of the whole model at its first short sequence.
    if kind == "big_bird" and checkpoint.config.get("attention_type", defaults.attention_type) != "original_full":
        raise checkpoint.error(
            "its attention reads random parts of long sequences; for full attention at every length, write "
            '"attention_type": "original_full" into its config.json'
        )


def _refuse_names(checkpoint: Checkpoint, defaults: Any) -> None:
    """Raise an error for sizes under other names, beside which transformers would build a model of its default sizes.

    Those of ESM-C are the sizes of its model of 6 billion parameters, for which memory may not suffice.
    """
    for name, size in (("hidden_size", checkpoint.dim), ("num_hidden_layers", checkpoint.layers)):
        name_of_type = defaults.attribute_map.get(name, name)
        default = getattr(defaults, name, None)
        if default is None or default == size:
            continue
        if all(checkpoint.config.get(key) is None for key in (name, name_of_type)):
            raise checkpoint.error(
                f"its config.json has no {name_of_type}, for which transformers would take {default}; "
                f"it has {size} under another name"
            )
