"""A checkpoint's files become a model of transformers, without a word of what no caller looks at."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from antibody_esm.errors import CRAFTED
from antibody_esm.plm.checkpoints import Checkpoint
from antibody_esm.plm.families import family_of
from antibody_esm.plm.headers import check_sizes


def read_weights(checkpoint: Checkpoint, model_class: str, dtype: Any, **options: Any) -> tuple[Any, set[str]]:
    """Return a model on the CPU, and the names of its weights that the files lack, which are random.

    Parameters
    ----------
    checkpoint
        Its files and nothing else are read.
    model_class
        Name of a class of transformers.
    dtype
        Of torch.
    options
        Arguments of the class.

    Raises
    ------
    CheckpointError
        If the files cannot be read as such a model, or their shapes are others than the configuration's.
    """
    import transformers
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    family = family_of(checkpoint)
    check_sizes(checkpoint, family.layers, computed="encoder.embed_positions.weight" in family.recomputed)
    with checkpoint.staged() as folder, _quiet_transformers():
        try:
            model, report = getattr(transformers, model_class).from_pretrained(
                folder,
                dtype=dtype,
                trust_remote_code=False,
                local_files_only=True,
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they come back in the report
                **options,
            )
        except (*CRAFTED, SafetensorError, StrictDataclassError) as error:
            raise checkpoint.error(f"its weights cannot be loaded: {str(error)[:500]}") from error
    return model, {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Hide the loading bar and the table of weights no embedding passes through; what matters is checked instead."""
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
