"""Conversion of AbLang2's weights, which its own package computes with.

AbLang2 reads heavy and light chains, alone and in pairs (Olsen et al. 2024, doi:10.1101/2024.02.02.578678). Its
authors publish ``hparams.json`` and ``model.pt`` (doi:10.5281/zenodo.10185169), and the network as the package ablang2;
both under a BSD 3-clause licence. The file is read without running code, and nothing is downloaded.
"""

import importlib.metadata
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antibody_esm.limits import parse_json, read_regular
from antibody_esm.plm.archives import read_shapes
from antibody_esm.plm.conversion import Surroundings, TokenTable

VERSION = 1
"""Version of the conversion, part of the digest; it changes if the same files result in another model."""
PACKAGE = "0.2.1"
"""Version of the package whose network is run."""
HPARAMS, WEIGHTS = "hparams.json", "model.pt"

_RESIDUES = "MRHKDESTNQCGPAVIFYWL"
"""Amino acids by their tokens, from 1."""
_START, _PADDING, _END, _MASK, _UNKNOWN, _BAR = 0, 21, 22, 23, 24, 25
_LETTERS = 26
_SIZES = {"hidden_embed_size": 2**14, "n_attn_heads": 2**10, "n_encoder_blocks": 2**10}
"""Sizes in ``hparams.json``, with the largest that is read."""
_LARGEST = 2**31
"""Largest size of the file of weights, in bytes."""


@dataclass(frozen=True)
class PairedFiles:
    """The files of one model.

    Parameters
    ----------
    light
        True reads a single chain as a light one: its authors write ``<VH>|``, ``|<VL>`` and ``<VH>|<VL>``.
    """

    light: bool = False

    @property
    def name(self) -> str:
        """Name and version of this conversion, part of the model's digest."""
        return f"ablang2 {VERSION}{' light' if self.light else ''}"

    @property
    def weights(self) -> str:
        """Name of the file of weights."""
        return WEIGHTS

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the files beside the weights."""
        return (HPARAMS,)

    def config_of(self, files: Mapping[str, Path]) -> dict[str, Any]:
        """Return the content of the model's ``config.json``.

        Raises
        ------
        ValueError
            If ``hparams.json`` has no sizes of an AbLang2 model, or other tokens.
        OSError
            If it cannot be read.
        """
        stored = parse_json(read_regular(files[HPARAMS], 10**6))
        if not isinstance(stored, dict):
            raise ValueError(f"{HPARAMS} is not a JSON object")
        for name, largest in _SIZES.items():
            if type(stored.get(name)) is not int or not 1 <= stored[name] <= largest:
                raise ValueError(f"{HPARAMS} has {name} {stored.get(name)!r}"[:200])
        for name, value in {"vocab_size": _LETTERS, "pad_tkn": _PADDING, "mask_tkn": _MASK}.items():
            if stored.get(name) != value:
                raise ValueError(f"{HPARAMS} has {name} {stored.get(name)!r}, not {value}"[:200])
        width, heads = stored["hidden_embed_size"], stored["n_attn_heads"]
        if width % heads or width // heads % 2:
            raise ValueError(f"{HPARAMS} has {heads} heads for a width of {width}")
        if stored.get("a_fn") not in ("gelu", "swiglu"):
            raise ValueError(f"{HPARAMS} has a_fn {stored.get('a_fn')!r}"[:200])
        epsilon = stored.get("layer_norm_eps")
        if not isinstance(epsilon, float) or not 0 < epsilon < 1:
            raise ValueError(f"{HPARAMS} has layer_norm_eps {epsilon!r}"[:200])
        return {
            "model_type": "ablang2",
            "hidden_size": width,
            "num_hidden_layers": stored["n_encoder_blocks"],
            "num_attention_heads": heads,
            "hidden_act": stored["a_fn"],
            "layer_norm_eps": epsilon,
            "vocab_size": _LETTERS,
            "pad_token_id": _PADDING,
            "mask_token_id": _MASK,
            "tie_word_embeddings": False,
        }

    def table(self, files: Mapping[str, Path]) -> TokenTable:
        """Return the tokens, which are the same for all files."""
        numbers = {residue: number for number, residue in enumerate(_RESIDUES, start=1)}
        numbers |= {"X": _UNKNOWN, "<mask>": _MASK}
        single = Surroundings((_BAR, _START), (), (_END,)) if self.light else Surroundings((_START,), (), (_END, _BAR))
        return TokenTable(numbers, single, Surroundings((_START,), (_END, _BAR, _START), (_END,)))

    def write(self, files: Mapping[str, Path], folder: Path) -> None:
        """Write ``config.json`` and ``model.safetensors``; the file of weights is read without running code.

        Without the file of weights, only ``config.json`` is written.

        Raises
        ------
        ValueError
            If a weight is missing, unknown, or of another shape, or the file is refused by `read_shapes`.
        OSError, RuntimeError, pickle.UnpicklingError
            If the file is damaged, or holds anything but tensors.
        """
        import torch
        from safetensors.torch import save_file

        config = self.config_of(files)
        (folder / "config.json").write_text(json.dumps(config))
        if WEIGHTS not in files:
            return
        if files[WEIGHTS].stat().st_size > _LARGEST:
            raise ValueError(f"{WEIGHTS} is too large")
        read_shapes(files[WEIGHTS])
        stored = torch.load(files[WEIGHTS], map_location="cpu", weights_only=True)
        shapes = shapes_of(config)
        if not isinstance(stored, dict) or stored.keys() != shapes.keys():
            raise ValueError(f"{WEIGHTS} holds other weights than {HPARAMS} describes")
        for name, shape in shapes.items():
            tensor = stored[name]
            if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != shape or tensor.dtype != torch.float32:
                raise ValueError(f"{WEIGHTS}: {name} is not float32 of shape {shape}")
        if not torch.equal(stored["AbHead.weights"], stored["AbRep.aa_embed_layer.weight"]):
            raise ValueError(f"{WEIGHTS}: the head does not share the weights of the embeddings")
        weights = {name: tensor.clone() for name, tensor in stored.items()}  # the file shares the head's storage
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    def model_class(self, name: str) -> Any:
        """Return the network of the authors' package, with or without its head.

        Raises
        ------
        ImportError
            If the package is not installed, or in another version.
        """
        try:
            installed = importlib.metadata.version("ablang2")
        except importlib.metadata.PackageNotFoundError as error:
            raise ImportError("the package ablang2 is not installed") from error
        if installed != PACKAGE:
            raise ImportError(f"the package ablang2 is installed as {installed}, not {PACKAGE}")
        with warnings.catch_warnings():  # a library of the package changes which warnings the caller sees
            from antibody_esm.plm.ablang2_network import Encoder, WithHead

        return WithHead if "MaskedLM" in name else Encoder


def shapes_of(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight of ``model.pt``, by name."""
    width, heads = config["hidden_size"], config["num_attention_heads"]
    gates = 2 if config["hidden_act"] == "swiglu" else 1

    def affine(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}

    shapes: dict[str, tuple[int, ...]] = {"AbRep.aa_embed_layer.weight": (_LETTERS, width)}
    for layer in range(config["num_hidden_layers"]):
        block = f"AbRep.encoder_blocks.{layer}"
        shapes[f"{block}.multihead_attention.rotary_emb.freqs"] = (width // heads // 2,)
        for part in "qkv":
            shapes |= affine(f"{block}.multihead_attention.{part}_proj", width, width)
        shapes |= affine(f"{block}.multihead_attention.out_proj", width, width)
        shapes |= affine(f"{block}.intermediate_layer.0", 4 * gates * width, width)
        shapes |= affine(f"{block}.intermediate_layer.2", width, 4 * width)
        shapes |= affine(f"{block}.pre_attn_layer_norm", width) | affine(f"{block}.final_layer_norm", width)
    shapes |= affine("AbRep.layer_norm_after_encoder_blocks", width)
    shapes |= affine("AbHead.ff.0", gates * width, width) | affine("AbHead.ff.2", width)
    return shapes | {"AbHead.weights": (_LETTERS, width), "AbHead.bias": (_LETTERS,)}
