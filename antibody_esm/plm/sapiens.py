"""Conversion of Sapiens' files, which fairseq wrote, to those of a RoBERTa model of transformers.

Sapiens is two models of human antibodies, one of heavy and one of light chains (Prihoda et al. 2022,
doi:10.1080/19420862.2021.2020203). The wheel of sapiens 1.0.2 has their weights, under the MIT licence. The code of
that package needs fairseq and is never imported.
"""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antibody_esm.limits import read_regular
from antibody_esm.plm.archives import read_shapes
from antibody_esm.plm.conversion import Surroundings, TokenTable
from antibody_esm.sequences import AMINO_ACIDS

VERSION = 1
"""Version of the conversion, part of the digest; it changes if the same files result in another model."""
START, PADDING, END = 0, 1, 2
"""Tokens that fairseq puts before those of the vocabulary file; the unknown token is 3."""
_FIRST = 4
"""Number of the vocabulary file's first token."""

_LAYERS, _DIM, _WIDE, _HEADS = 4, 128, 256, 8
_LARGEST = 64 * 10**6
"""Largest size of a file, in bytes."""

_PARTS = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.output.LayerNorm",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "output.LayerNorm",
}
"""Parts of a layer, by fairseq's name and by transformers'."""


@dataclass(frozen=True)
class Converter:
    """One of the two models.

    Parameters
    ----------
    weights
        Name of the file of weights.
    tokens
        Longest sequence in tokens, with a start and an end.
    vocabulary
        Name of the file of the vocabulary.
    """

    weights: str
    tokens: int
    vocabulary: str = "dict.txt"

    @property
    def name(self) -> str:
        """Name and version of this conversion, part of the model's digest."""
        return f"sapiens {VERSION}"

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the files beside the weights."""
        return (self.vocabulary,)

    def config_of(self, files: Mapping[str, Path]) -> dict[str, Any]:
        """Return `config`, which is the same for all files."""
        return self.config

    def table(self, files: Mapping[str, Path]) -> TokenTable:
        """Return the tokens; raises as `numbers`."""
        return TokenTable(self.numbers(files), Surroundings((START,), (), (END,)))

    def model_class(self, name: str) -> None:
        """Return None: the converted model is transformers' RoBERTa."""

    @property
    def config(self) -> dict[str, Any]:
        """Content of the model's ``config.json``; the weights are compared with it when they are read."""
        return {
            "model_type": "roberta",
            "architectures": ["RobertaForMaskedLM"],
            "hidden_size": _DIM,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": _HEADS,
            "intermediate_size": _WIDE,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-5,
            "vocab_size": _FIRST + len(AMINO_ACIDS) + 1,
            "max_position_embeddings": PADDING + 1 + self.tokens,
            "type_vocab_size": 1,
            "bos_token_id": START,
            "pad_token_id": PADDING,
            "eos_token_id": END,
            "tie_word_embeddings": True,
        }

    def numbers(self, files: Mapping[str, Path]) -> dict[str, int]:
        """Return the token of each amino acid, of ``<mask>``, and of X, which the authors replace by ``<mask>``.

        Raises
        ------
        ValueError
            If the vocabulary file is not a list of the twenty amino acids.
        OSError
            If it cannot be read.
        """
        lines = read_regular(files[self.vocabulary], _LARGEST).decode("ascii").split("\n")
        residues = [line.split(" ")[0] for line in lines if line]
        if sorted(residues) != sorted(AMINO_ACIDS):
            raise ValueError("its dict.txt does not list the twenty amino acids once each")
        mask = _FIRST + len(residues)
        return {residue: _FIRST + i for i, residue in enumerate(residues)} | {"X": mask, "<mask>": mask}

    def write(self, files: Mapping[str, Path], folder: Path) -> None:
        """Write ``config.json`` and ``model.safetensors``; the file of weights is read without running code.

        Without the file of weights, only ``config.json`` is written.

        Raises
        ------
        ValueError
            If a weight is missing, unknown or of another shape, or a setting without a shape has another value;
            or the file is refused by `read_shapes`.
        OSError, RuntimeError, pickle.UnpicklingError
            If the file is damaged, or holds anything but tensors and settings.
        """
        import torch
        from safetensors.torch import save_file

        if self.weights not in files:
            (folder / "config.json").write_text(json.dumps(self.config))
            return
        path = files[self.weights]
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"{self.weights} is too large")
        with torch.serialization.safe_globals([Namespace]):
            read_shapes(path)
            stored = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(stored, dict) or not isinstance(stored.get("args"), Namespace):
            raise ValueError(f"{self.weights} holds no settings")
        _check_settings(vars(stored["args"]))
        tensors = stored.get("model")
        expected = {theirs: (ours, shape) for theirs, ours, shape in self._weights()}
        if not isinstance(tensors, dict) or tensors.keys() != expected.keys():
            raise ValueError(f"{self.weights} holds other weights than Sapiens has")
        weights = {}
        for theirs, (ours, shape) in expected.items():
            tensor = tensors[theirs]
            if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != shape or tensor.dtype != torch.float32:
                raise ValueError(f"{self.weights}: {theirs} is not float32 of shape {shape}")
            weights[ours] = tensor.contiguous()
        if not torch.equal(weights.pop("lm_head.decoder.weight"), weights[_EMBEDDINGS + "word_embeddings.weight"]):
            raise ValueError(f"{self.weights}: the head does not share the weights of the embeddings")
        weights[_EMBEDDINGS + "token_type_embeddings.weight"] = torch.zeros(1, _DIM)  # fairseq's model has none
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(self.config))

    def _weights(self) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        """Yield fairseq's name, transformers' name and the shape of each weight."""
        theirs, letters = "decoder.sentence_encoder", self.config["vocab_size"]
        positions = self.config["max_position_embeddings"]
        yield f"{theirs}.embed_tokens.weight", _EMBEDDINGS + "word_embeddings.weight", (letters, _DIM)
        yield f"{theirs}.embed_positions.weight", _EMBEDDINGS + "position_embeddings.weight", (positions, _DIM)
        yield from _both(f"{theirs}.emb_layer_norm", _EMBEDDINGS + "LayerNorm", _DIM)
        for layer in range(_LAYERS):
            for part, ours in _PARTS.items():
                out, into = {"fc1": (_WIDE, _DIM), "fc2": (_DIM, _WIDE)}.get(part, (_DIM, _DIM))
                sizes = (out,) if part.endswith("norm") else (out, into)
                yield from _both(f"{theirs}.layers.{layer}.{part}", f"roberta.encoder.layer.{layer}.{ours}", *sizes)
        yield from _both("decoder.lm_head.dense", "lm_head.dense", _DIM, _DIM)
        yield from _both("decoder.lm_head.layer_norm", "lm_head.layer_norm", _DIM)
        yield "decoder.lm_head.weight", "lm_head.decoder.weight", (letters, _DIM)
        yield "decoder.lm_head.bias", "lm_head.bias", (letters,)


_EMBEDDINGS = "roberta.embeddings."


def _both(theirs: str, ours: str, *shape: int) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    yield f"{theirs}.weight", f"{ours}.weight", shape
    yield f"{theirs}.bias", f"{ours}.bias", shape[:1]


def _check_settings(settings: Mapping[str, Any]) -> None:
    for name, value in {"encoder_attention_heads": _HEADS, "activation_fn": "gelu", "task": "masked_lm"}.items():
        if settings.get(name) != value:
            raise ValueError(f"its setting {name} is {settings.get(name)!r}, not {value!r}"[:200])
