"""Tiny language models with random weights, and contract tests of plugins.

Tests, documentation and benchmarks need no download with these models.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from antibody_esm.plugin_checks import check_classifier as check_classifier
from antibody_esm.plugin_checks import check_dataset as check_dataset
from antibody_esm.plugin_checks import check_extractor as check_extractor
from antibody_esm.sequences import AMINO_ACIDS

Kind = Literal[
    "esm",
    "esm1b",
    "esm1v",
    "esmc",
    "bert",
    "roberta",
    "roformer",
    "prott5",
    "prostt5",
    "ankh",
    "ankh3",
    "gpt2",
    "ablang2",
]

_ESM_TOKENS = [
    *("<cls>", "<pad>", "<eos>", "<unk>"),
    *"LAGVSERTIDPNKQFYMHWCXBUZO.-",
    *("<null_1>", "<mask>"),
]
_BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *AMINO_ACIDS]
_ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", *AMINO_ACIDS, "X", "<mask>"]
_T5_RESIDUES = "ALGVSREDTIPKFQNYMHWCXBOUZ"
_T5_SPECIAL = ("<pad>", "</s>", "<unk>")
_GPT_TOKENS = ["<|pad|>", "1", "2", *AMINO_ACIDS, "X", "[HEAVY]", "[LIGHT]", "[HUMAN]", "[MOUSE]"]


class _Parts(NamedTuple):
    """Configuration, model class and tokenizer of a kind."""

    config: Any
    model: Any
    write_tokenizer: Callable[[Path], object]


def tiny_checkpoint(
    kind: Kind, folder: str | Path, *, layers: int = 2, dim: int = 32, heads: int = 2, seed: int = 0, head: bool = False
) -> Path:
    """Write a checkpoint with random weights and return its folder.

    Parameters
    ----------
    kind
        ``esm`` (ESM-2: rotary positions), ``esm1v`` (learned positions), ``esm1b`` (the same, with a norm before the
        first layer), ``esmc`` (ESM-C), ``bert`` (ProtBert, IgBert; X is a token), ``roberta`` (Sapiens, AnthroAb,
        nanoBERT; 510 residues, a vocabulary of single bytes, no pooler), ``roformer`` (AntiBERTa2; 256 positions, and X
        is the unknown token), ``prott5`` (T5 with a sentencepiece model, spaces between residues), ``ankh`` (T5 with a
        table of bare residues), ``prostt5`` and ``ankh3`` (the same with their control tokens ``<AA2fold>``,
        ``<fold2AA>`` and ``[NLU]``, ``[S2S]``), ``gpt2`` (causal, as p-IgGen, ProGen2 and IgLM: its tokenizer adds no
        token, and there are control tokens ``1``, ``2``, ``[HEAVY]``, ``[LIGHT]``, ``[HUMAN]``, ``[MOUSE]``). The T5
        are saved whole, with a decoder. ``ablang2`` (the files that its package loads, always with a head).
    folder
        Output folder; created if it does not exist.
    layers, dim, heads
        Size of the model. The feed-forward part is ``4 * dim`` wide.
    seed
        Seed of the weights; two seeds give two models of one shape.
    head
        True adds a masked language model's head; for esm, bert, roberta and roformer.

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

    if kind == "ablang2":
        return _ablang2(Path(folder), layers, dim, heads, seed)
    build: dict[str, Callable[[Any, dict[str, int]], _Parts]] = {
        "esm": _esm,
        "esm1b": lambda library, size: _esm(
            library, size, position_embedding_type="absolute", emb_layer_norm_before=True
        ),
        "esm1v": lambda library, size: _esm(library, size, position_embedding_type="absolute"),
        "esmc": _esmc,
        "bert": _bert,
        "roberta": _roberta,
        "roformer": _roformer,
        "prott5": _prott5,
        "prostt5": lambda library, size: _prott5(library, size, "<AA2fold>", "<fold2AA>"),
        "ankh": _ankh,
        "ankh3": lambda library, size: _ankh(library, size, "[NLU]", "[S2S]"),
        "gpt2": _gpt2,
    }
    if kind not in build:
        raise ValueError(f"unknown kind {kind!r}; choose one of {', '.join(build)}, ablang2")
    parts = build[kind](transformers, {"layers": layers, "dim": dim, "heads": heads})
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        build_model = transformers.AutoModelForMaskedLM.from_config if head else parts.model
        model = build_model(parts.config)
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
    parts.write_tokenizer(folder)
    return folder


def _size(size: dict[str, int]) -> dict[str, int]:
    return {
        "hidden_size": size["dim"],
        "num_hidden_layers": size["layers"],
        "num_attention_heads": size["heads"],
        "intermediate_size": 4 * size["dim"],
    }


def _vocabulary(tokens: list[str], **configuration: Any) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        (folder / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps(configuration), encoding="utf-8")

    return write


def _esm(transformers: Any, size: dict[str, int], **options: Any) -> _Parts:
    config = transformers.EsmConfig(
        **{"position_embedding_type": "rotary", "emb_layer_norm_before": False, **options},
        **_size(size),
        vocab_size=len(_ESM_TOKENS),
        max_position_embeddings=1026,
        pad_token_id=1,
        mask_token_id=32,
        token_dropout=True,
    )
    return _Parts(config, transformers.EsmModel, _vocabulary(_ESM_TOKENS, tokenizer_class="EsmTokenizer"))


def _esmc(transformers: Any, size: dict[str, int]) -> _Parts:
    config = transformers.EsmcConfig(vocab_size=64, **_size(size))
    return _Parts(
        config, transformers.EsmcForMaskedLM, lambda folder: transformers.EsmcTokenizer().save_pretrained(folder)
    )


def _bert(transformers: Any, size: dict[str, int]) -> _Parts:
    tokens = [*_BERT_TOKENS, "X"]
    config = transformers.BertConfig(vocab_size=len(tokens), max_position_embeddings=512, **_size(size))
    tokenizer = _vocabulary(tokens, tokenizer_class="BertTokenizer", do_lower_case=False)
    return _Parts(config, transformers.BertModel, tokenizer)


def _roberta(transformers: Any, size: dict[str, int]) -> _Parts:
    config = transformers.RobertaConfig(
        vocab_size=len(_ROBERTA_TOKENS), max_position_embeddings=514, type_vocab_size=1, **_size(size)
    )

    def write(folder: Path) -> None:
        numbers = {token: number for number, token in enumerate(_ROBERTA_TOKENS)}
        (folder / "vocab.json").write_text(json.dumps(numbers), encoding="utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))

    # Published ones are saved with their language-model head, and so without a pooler.
    return _Parts(config, lambda config: transformers.RobertaModel(config, add_pooling_layer=False), write)


def _roformer(transformers: Any, size: dict[str, int]) -> _Parts:
    config = transformers.RoFormerConfig(
        vocab_size=len(_BERT_TOKENS), embedding_size=size["dim"], max_position_embeddings=256, **_size(size)
    )
    tokenizer = _vocabulary(_BERT_TOKENS, tokenizer_class="RoFormerTokenizer", do_lower_case=False)
    return _Parts(config, transformers.RoFormerModel, tokenizer)


def _t5(transformers: Any, size: dict[str, int], **options: Any) -> Any:
    return transformers.T5Config(
        d_model=size["dim"],
        d_kv=size["dim"] // size["heads"] + 4,  # in published ones, heads times this is not the width either
        d_ff=4 * size["dim"],
        num_layers=size["layers"],
        num_decoder_layers=1,
        num_heads=size["heads"],
        decoder_start_token_id=0,
        **options,
    )


def _prott5(transformers: Any, size: dict[str, int], *controls: str) -> _Parts:
    def write(folder: Path) -> None:
        from sentencepiece import sentencepiece_model_pb2

        model: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made by protobuf
        residues = [(f"▁{residue}", -2.0 - 0.1 * i, 1) for i, residue in enumerate(_T5_RESIDUES)]
        for piece, score, kind in [("<pad>", 0.0, 3), ("</s>", 0.0, 3), ("<unk>", 0.0, 2), *residues]:
            entry = model.pieces.add()
            entry.piece, entry.score, entry.type = piece, score, kind
        trainer, normaliser = model.trainer_spec, model.normalizer_spec
        trainer.model_type, trainer.vocab_size = 1, len(model.pieces)
        trainer.pad_id, trainer.eos_id, trainer.unk_id, trainer.bos_id = 0, 1, 2, -1
        trainer.pad_piece, trainer.eos_piece, trainer.unk_piece = _T5_SPECIAL
        normaliser.name = "identity"
        normaliser.add_dummy_prefix = normaliser.remove_extra_whitespaces = normaliser.escape_whitespaces = True
        (folder / "spiece.model").write_bytes(model.SerializeToString())
        (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
        further = [f"<extra_id_{i}>" for i in range(100)]
        if controls:
            added = {token: 128 + number for number, token in enumerate(controls)}
            (folder / "added_tokens.json").write_text(json.dumps(added))
        special = dict(zip(("pad_token", "eos_token", "unk_token"), _T5_SPECIAL, strict=True))
        (folder / "special_tokens_map.json").write_text(json.dumps({**special, "additional_special_tokens": further}))

    config = _t5(transformers, size, vocab_size=128 + len(controls))
    return _Parts(config, transformers.T5ForConditionalGeneration, write)


def _ankh(transformers: Any, size: dict[str, int], *controls: str) -> _Parts:
    def write(folder: Path) -> None:
        from tokenizers import Tokenizer, models, processors

        pieces = [
            *((special, 0.0) for special in _T5_SPECIAL),
            *((residue, -2 - 0.1 * i) for i, residue in enumerate(_T5_RESIDUES)),
        ]
        tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
        tokenizer.add_special_tokens([*_T5_SPECIAL, *controls])
        tokenizer.save(str(folder / "tokenizer.json"))
        special = dict(zip(("pad_token", "eos_token", "unk_token"), _T5_SPECIAL, strict=True))
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", **special}))

    options = {"feed_forward_proj": "gated-gelu", "relative_attention_num_buckets": 64, "tie_word_embeddings": False}
    config = _t5(transformers, size, vocab_size=256 if controls else 144, **options)
    return _Parts(config, transformers.T5ForConditionalGeneration, write)


def _gpt2(transformers: Any, size: dict[str, int]) -> _Parts:
    config = transformers.GPT2Config(
        n_embd=size["dim"],
        n_layer=size["layers"],
        n_head=size["heads"],
        n_positions=512,
        vocab_size=len(_GPT_TOKENS),
        bos_token_id=1,
        eos_token_id=2,
    )

    def write(folder: Path) -> None:
        from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

        tokenizer = Tokenizer(models.WordLevel({token: number for number, token in enumerate(_GPT_TOKENS)}))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        controls = [AddedToken(token, special=True) for token in _GPT_TOKENS if token[0] in "<["]
        tokenizer.add_special_tokens(controls)
        tokenizer.save(str(folder / "tokenizer.json"))
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": _GPT_TOKENS[0]}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))

    return _Parts(config, transformers.GPT2Model, write)


def _ablang2(folder: Path, layers: int, dim: int, heads: int, seed: int) -> Path:
    import torch

    from antibody_esm.plm.ablang2 import HPARAMS, WEIGHTS, PairedFiles, shapes_of

    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"vocab_size": 26, "hidden_embed_size": dim, "n_attn_heads": heads, "n_encoder_blocks": layers}
    further = {"pad_tkn": 21, "mask_tkn": 23, "layer_norm_eps": 1e-12, "a_fn": "swiglu"}
    (folder / HPARAMS).write_text(json.dumps(sizes | further), encoding="utf-8")
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes_of(PairedFiles().config_of({HPARAMS: folder / HPARAMS})).items():
        weights[name] = torch.randn(shape, generator=generator) * 0.3 + (1.0 if "norm.weight" in name else 0.0)
        if name.endswith("freqs"):
            weights[name] = 10_000.0 ** -(torch.arange(shape[0]) / shape[0])
    weights["AbHead.weights"] = weights["AbRep.aa_embed_layer.weight"]
    torch.save(weights, folder / WEIGHTS)
    return folder
