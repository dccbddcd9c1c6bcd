"""Tiny language models with random weights, for tests, documentation and benchmarks without a download."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from antibody_esm.sequences import AMINO_ACIDS

Kind = Literal["esm", "esm1v", "bert", "roformer"]

_ESM_TOKENS = [
    *("<cls>", "<pad>", "<eos>", "<unk>"),
    *"LAGVSERTIDPNKQFYMHWCXBUZO.-",
    *("<null_1>", "<mask>"),
]
_BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *AMINO_ACIDS]


def tiny_checkpoint(
    kind: Kind, folder: str | Path, *, layers: int = 2, dim: int = 32, heads: int = 2, seed: int = 0
) -> Path:
    """Write a checkpoint with random weights and return its folder.

    Parameters
    ----------
    kind
        ``esm`` (ESM-2: rotary positions), ``esm1v`` (learned positions), ``bert`` (ProtBert; X is a token),
        ``roformer`` (AntiBERTa2; 256 positions, and X is the unknown token).
    folder
        Where to write; made if it does not exist.
    layers, dim, heads
        Size of the model. The feed-forward part is ``4 * dim`` wide.
    seed
        Seed of the weights; two seeds give two models of one shape.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from antibody_esm import Extractor
    >>> Extractor(tiny_checkpoint("esm", mkdtemp())).embed(["EVQLVESGG"]).shape
    (1, 32)
    """
    import torch
    import transformers
    from transformers.utils import logging

    build: dict[str, Callable[..., Any]] = {"esm": _esm2, "esm1v": _esm1v, "bert": _bert, "roformer": _roformer}
    if kind not in build:
        raise ValueError(f"unknown kind {kind!r}; choose one of {', '.join(build)}")
    tokens, tokenizer, config, model_class = build[kind](transformers)
    config.update(
        {
            "vocab_size": len(tokens),
            "hidden_size": dim,
            "embedding_size": dim,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 4 * dim,
        }
    )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(config)
        with torch.no_grad():  # the usual initialisation (biases 0, norms 1) would hide what a test should see
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model.save_pretrained(folder)
    finally:
        if bar:
            logging.enable_progress_bar()
    (folder / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


_Parts = tuple[list[str], dict[str, Any], Any, Any]


def _esm2(transformers: Any, positions: str = "rotary") -> _Parts:
    config = transformers.EsmConfig(
        position_embedding_type=positions,
        max_position_embeddings=1026,
        pad_token_id=1,
        mask_token_id=32,
        token_dropout=True,
        emb_layer_norm_before=False,
    )
    return _ESM_TOKENS, {"tokenizer_class": "EsmTokenizer"}, config, transformers.EsmModel


def _esm1v(transformers: Any) -> _Parts:
    return _esm2(transformers, "absolute")


def _bert(transformers: Any) -> _Parts:
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": False}
    config = transformers.BertConfig(max_position_embeddings=512)
    return [*_BERT_TOKENS, "X"], tokenizer, config, transformers.BertModel


def _roformer(transformers: Any) -> _Parts:
    tokenizer = {"tokenizer_class": "RoFormerTokenizer", "do_lower_case": False}
    config = transformers.RoFormerConfig(max_position_embeddings=256)
    return _BERT_TOKENS, tokenizer, config, transformers.RoFormerModel
