"""Models of transformers from a checkpoint's files, without transformers' messages."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from inspect import signature
from threading import RLock
from typing import Any

from antibody_esm.errors import CRAFTED
from antibody_esm.plm.checkpoints import Checkpoint, reason
from antibody_esm.plm.families import family_of
from antibody_esm.plm.headers import check_sizes


def read_weights(checkpoint: Checkpoint, model_class: str, dtype: Any, **options: Any) -> tuple[Any, set[str]]:
    """Return a model on the CPU, and the names of weights that the files lack, which are random.

    Parameters
    ----------
    checkpoint
        Checkpoint; only its files are read.
    model_class
        Name of a class of transformers.
    dtype
        Number format of torch.
    options
        Arguments of the class.

    Raises
    ------
    CheckpointError
        If the files cannot be read as such a model, or their shapes differ from the configuration's.
    """
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    family = family_of(checkpoint)
    check_sizes(checkpoint, family.layers, computed="encoder.embed_positions.weight" in family.recomputed)
    with checkpoint.staged() as folder, quiet_transformers():
        try:
            model, report = class_of(checkpoint, model_class, dtype).from_pretrained(
                folder,
                dtype=dtype,
                trust_remote_code=False,
                local_files_only=True,
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # the report lists them
                **options,
            )
        except (*CRAFTED, SafetensorError, StrictDataclassError) as error:
            raise checkpoint.error(f"its weights cannot be loaded: {reason(error)}") from error
    if "input_ids" not in signature(model.forward).parameters:
        raise checkpoint.error(f"models of type {checkpoint.config['model_type']} do not read tokens")
    _refuse_unused(checkpoint, model, report["unexpected_keys"])
    return model, {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}


def class_of(checkpoint: Checkpoint, name: str, dtype: Any) -> Any:
    """Return transformers' class of a name, or the class that computes with converted files in its place.

    Raises
    ------
    CheckpointError
        If its package is missing, or computes in float32 only.
    """
    import torch
    import transformers

    try:
        own = None if checkpoint.converter is None else checkpoint.converter.model_class(name)
    except ImportError as error:
        kind = checkpoint.config["model_type"]
        raise checkpoint.error(
            f'its network cannot be run: {error}; run: pip install ".[{kind}]" in a checkout of antibody_esm'
        ) from error
    if own is None:
        return getattr(transformers, name)
    if dtype != torch.float32:
        raise checkpoint.error("its package computes positions in the format of the weights: precision='float32'")
    return own


def has_head(checkpoint: Checkpoint) -> bool:
    """Return True if the type of model has a masked language model, whether or not the files hold its head."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    own = None if checkpoint.converter is None else checkpoint.converter.model_class("AutoModelForMaskedLM")
    return own is not None or checkpoint.config.get("model_type") in MODEL_FOR_MASKED_LM_MAPPING_NAMES


_COMPUTED = re.compile(r"(position_ids|token_type_ids|inv_freq|attn\.bias|masked_bias|embed_tokens\.weight)$")
"""Stored tensors that a model computes, or has under another name."""


def _refuse_unused(checkpoint: Checkpoint, model: Any, names: Iterable[str]) -> None:
    """Raise an error for unused weights of a part that the model has, such as those of `relative_key` positions.

    Weights of other parts (a head, a pooler, a decoder) have no effect on an embedding.
    """
    parts = tuple(f"{name}." for name, _ in model.base_model.named_children())
    prefix = f"{model.base_model_prefix}."
    unused = [name for name in names if name.removeprefix(prefix).startswith(parts) and not _COMPUTED.search(name)]
    if unused:
        shown = ", ".join(sorted(unused)[:5])
        raise checkpoint.error(f"it holds weights that transformers does not use in such a model: {shown}")


_ONE_AT_A_TIME = RLock()
"""transformers keeps its verbosity, its number format and its order not to initialise weights for all threads."""


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Hide transformers' loading bar and its table of missing weights; one thread at a time reads or makes a model."""
    with _ONE_AT_A_TIME:
        yield from _quietly()


def _quietly() -> Iterator[None]:
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
