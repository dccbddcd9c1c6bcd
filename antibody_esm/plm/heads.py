"""Linear head that reads pooled vectors while a model is fine-tuned; it begins as the best head of the frozen model.

A random head would distort good states at first (doi:10.48550/arXiv.2202.10054).
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

PENALTIES = (10_000.0, 1_000.0, 100.0, 10.0, 1.0)
"""Ridge penalties of the first head, of which the held-out rows choose one."""
_STEPS = 30
_SMALL = 1e-8
_LARGEST = 1e100


class Head:
    """Linear map of standardised vectors to logits or values, and the weights of ``pooling="attention"``.

    Parameters
    ----------
    vectors
        ``(n, dim)``, float64: vectors of the frozen model.
    label
        ``(n,)``, float64, 0 and 1 or numbers.
    inner, held_out
        Rows that are trained on, and held-out ones.
    continuous
        True for labels that are numbers, which are standardised.
    spread
        ``(dim,)``, float64, standard deviation of the pooled states, for attention; None for mean pooling.
    device
        Device of the parameters.

    Attributes
    ----------
    parameters
        Tensors that are trained, in float32.
    """

    def __init__(
        self,
        vectors: "torch.Tensor",
        label: "torch.Tensor",
        inner: NDArray[np.int64],
        held_out: NDArray[np.int64],
        continuous: bool,
        spread: "torch.Tensor | None",
        device: str,
    ) -> None:
        import torch

        self._continuous = continuous
        if continuous:
            largest = float(label.abs().max())
            label = label if 1 / _LARGEST < largest < _LARGEST else label / largest  # whose squares are finite
            spread_of_label, of_all = label[inner].std(correction=0), label.std(correction=0)
            varies = bool(spread_of_label > 1e-6 * of_all)  # those of almost constant rows would be huge
            label = (label - label[inner].mean()) / (spread_of_label if varies else of_all).clamp(min=1e-300)
        mean, deviation = vectors[inner].mean(0), vectors[inner].std(0, correction=0)
        deviation = torch.where(deviation > 1e-6 * (1 + mean.abs()), deviation, torch.ones_like(deviation))
        rows = (vectors - mean) / deviation
        first = first_head(rows[inner], label[inner], rows[held_out], label[held_out], continuous)
        self._label, self._mean, self._deviation = (values.float().to(device) for values in (label, mean, deviation))
        self._weights, self._intercept = (values.float().to(device).requires_grad_() for values in first)
        self.parameters = [self._weights, self._intercept]
        self._spread = None
        if spread is not None:
            self._spread = torch.where(spread > _SMALL, spread, torch.ones_like(spread)).float().to(device)
            self._attention = torch.zeros_like(self._spread).requires_grad_()
            self.parameters.append(self._attention)

    @property
    def attention(self) -> "torch.Tensor | None":
        """Weights ``(dim,)`` of ``pooling="attention"``; None for mean pooling."""
        return None if self._spread is None else self._attention / self._spread

    def losses(self, rows: list[int], vectors: "torch.Tensor") -> "torch.Tensor":
        """Return the loss of each row ``(n,)`` from its vector."""
        values = ((vectors - self._mean) / self._deviation) @ self._weights + self._intercept
        return losses(values, self._label[rows], self._continuous)


def losses(values: Any, label: Any, continuous: bool) -> Any:
    """Return the loss of each row: cross entropy of logits, or half the squared error of values."""
    import torch

    if continuous:
        return (values - label).square() / 2
    return torch.nn.functional.binary_cross_entropy_with_logits(values, label, reduction="none")


def first_head(vectors: Any, label: Any, held_out: Any, held_out_label: Any, continuous: bool) -> tuple[Any, Any]:
    """Return weights ``(dim,)`` and intercept ``()`` of the head with the lowest loss on the held-out rows.

    All arguments are tensors in float64; vectors ``(n, dim)`` are standardised. Heads are fitted in the coordinates of
    the vectors' principal axes, of which there are at most ``n``.
    """
    import torch

    small = len(vectors) < vectors.shape[1]
    values, basis = torch.linalg.eigh(vectors @ vectors.T if small else vectors.T @ vectors)
    kept = values > _SMALL * values.max().clamp(min=1e-300)
    values, basis = values[kept], basis[:, kept]
    axes = vectors.T @ (basis / values.sqrt()) if small else basis
    rows = vectors @ axes
    weights, intercept = torch.zeros_like(rows[0]), torch.zeros((), dtype=rows.dtype)
    best, lowest = (torch.zeros_like(vectors[0]), intercept), np.inf
    for penalty in PENALTIES:
        weights, intercept = _fit(rows, label, penalty, continuous, weights, intercept)
        loss = float(losses(held_out @ (axes @ weights) + intercept, held_out_label, continuous).mean())
        if loss < lowest:
            best, lowest = (axes @ weights, intercept), loss
    return best


def _fit(rows: Any, label: Any, penalty: float, continuous: bool, weights: Any, intercept: Any) -> tuple[Any, Any]:
    """Return the penalised head by Newton's method; steps that raise the loss are halved."""
    import torch

    design = torch.cat([rows, torch.ones(len(rows), 1, dtype=rows.dtype)], 1)
    ridge = torch.full((design.shape[1],), penalty, dtype=rows.dtype)
    ridge[-1] = 1e-3  # so that a single class has a finite head too
    head = torch.cat([weights, intercept[None]])

    def loss_of(values: Any) -> Any:
        return losses(design @ values, label, continuous).sum() + (ridge * values.square()).sum() / 2

    loss = loss_of(head)
    for _ in range(_STEPS):
        logits = design @ head
        fitted = logits if continuous else torch.sigmoid(logits)
        curvature = torch.ones_like(fitted) if continuous else fitted * (1 - fitted)
        gradient = design.T @ (fitted - label) + ridge * head
        step = torch.linalg.solve(design.T @ (curvature[:, None] * design) + torch.diag(ridge), gradient)
        following = loss_of(head - step)
        while not following <= loss and float(step.abs().max()) > _SMALL:
            step = step / 2
            following = loss_of(head - step)
        if not following <= loss:
            break
        done = float(loss - following) <= _SMALL * float(loss)
        head, loss = head - step, following
        if done:
            break
    return head[:-1], head[-1]
