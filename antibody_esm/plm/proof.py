"""Proof that a model turns tokens, and nothing else, into one state for each token."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from antibody_esm.errors import CRAFTED, CheckpointError
from antibody_esm.plm.checkpoints import Checkpoint, reason
from antibody_esm.plm.vocabulary import Vocabulary
from antibody_esm.sequences import AMINO_ACIDS

_NO_MEMORY = ("out of memory", "allocate memory")
"""Words of torch if a device lacks the memory; such an error is no fault of the files."""


@contextmanager
def forward_errors(checkpoint: Checkpoint, tokens: Any) -> Iterator[None]:
    """Raise errors of a model's forward pass as a CheckpointError, except a lack of memory.

    Parameters
    ----------
    checkpoint
        Files of the model, for the message.
    tokens
        Tokens ``(n, tokens)`` of the pass.
    """
    try:
        yield
    except (CheckpointError, MemoryError):
        raise
    except CRAFTED as error:
        if any(words in str(error) for words in _NO_MEMORY):
            raise
        raise checkpoint.error(
            f"models of type {checkpoint.config.get('model_type')} cannot run on {tokens.shape[1]} tokens alone: "
            f"{reason(error) or type(error).__name__}"
        ) from error


@contextmanager
def plain_numbers(device_type: str) -> Iterator[None]:
    """Compute without gradients, and in the format of the weights whatever `torch.autocast` the caller has switched on.

    Parameters
    ----------
    device_type
        Type of the model's device, such as ``cuda``.
    """
    import torch

    with torch.inference_mode(), torch.autocast(device_type, enabled=False):
        yield


def prove(checkpoint: Checkpoint, vocabulary: Vocabulary, module: Any, longest: int, inner: bool) -> int:
    """Prove the last states of a model by two passes of a probe, and return the number of its hidden states.

    The proof: a pass reads tokens alone. There is one state for each token, with as many numbers as the configuration
    has. The states of a sequence are the same in both passes, with other sequences beside it.

    Parameters
    ----------
    checkpoint, vocabulary, module
        Files, table of the tokenizer, and module of torch in evaluation.
    longest
        Longest sequence of the model, in residues.
    inner
        True if inner layers are read from the model's output.

    Returns
    -------
    Number of hidden states with one vector for each token, as wide as the last; 0 if some are not, or without `inner`.

    Raises
    ------
    CheckpointError
        If any of this fails: for models that also need a picture, whose states are fewer than the tokens, that draw
        random numbers, or whose experts have room for a part of a batch only.
    """
    import torch

    kind, dim = checkpoint.config.get("model_type"), checkpoint.dim
    probe = AMINO_ACIDS[: max(1, min(longest, len(AMINO_ACIDS)))]
    options = {"output_hidden_states": True} if inner else {}
    passes = []
    for beside in ([probe[i:] + probe[:i] for i in (1, 2, 3)], [probe[::-1]] * 3):
        tokens = torch.from_numpy(vocabulary.encode([probe, *beside])).to(module.device)
        with forward_errors(checkpoint, tokens), plain_numbers(module.device.type):
            output = module(input_ids=tokens, **options)
        states = getattr(output, "last_hidden_state", None)
        if not isinstance(states, torch.Tensor) or tuple(states.shape) != (*tokens.shape, dim):
            shape = "no states" if states is None else f"states of shape {tuple(states.shape)}"
            raise checkpoint.error(f"models of type {kind} give {shape} for tokens {tuple(tokens.shape)}, width {dim}")
        passes.append(states[0].float().nan_to_num())
    if not torch.allclose(*passes, rtol=1e-2, atol=1e-2 * float(passes[0].abs().max())):
        raise checkpoint.error(
            f"a vector of models of type {kind} changes from pass to pass, or with the sequences beside it"
        )
    hidden = (getattr(output, "hidden_states", None) or ()) if inner else ()
    fits = all(tuple(states.shape) == (*tokens.shape, dim) for states in hidden)
    return len(hidden) if fits else 0
