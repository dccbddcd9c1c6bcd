"""Linear head that reads pooled vectors while a model is fine-tuned, and the best head of the frozen model.

The training begins with that head, since a random one distorts good states at first (doi:10.48550/arXiv.2202.10054).
"""

from typing import Any

import numpy as np

PENALTIES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
"""Ridge penalties of the first head, of which the validation rows choose one."""
_STEPS = 30
_SMALL = 1e-8


def losses(logits: Any, label: Any, continuous: bool) -> Any:
    """Return the loss of each row: cross entropy of classes, or half the squared error of standardised numbers."""
    import torch

    if continuous:
        return (logits - label).square() / 2
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, label, reduction="none")


def first_head(vectors: Any, label: Any, held_out: Any, held_out_label: Any, continuous: bool) -> tuple[Any, Any]:
    """Return weights ``(dim,)`` and intercept ``()`` of the head with the lowest loss on the held-out rows.

    All arguments are tensors in float64; vectors ``(n, dim)`` are standardised.
    """
    import torch

    small = len(vectors) < vectors.shape[1]
    values, basis = torch.linalg.eigh(vectors @ vectors.T if small else vectors.T @ vectors)
    kept = values > _SMALL * values.max().clamp(min=1e-300)
    values, basis = values[kept], basis[:, kept]
    axes = vectors.T @ (basis / values.sqrt()) if small else basis  # (dim, k), orthonormal
    rows = vectors @ axes
    best, lowest = (torch.zeros(vectors.shape[1], dtype=torch.float64), torch.zeros((), dtype=torch.float64)), np.inf
    weights, intercept = torch.zeros(rows.shape[1], dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for penalty in reversed(PENALTIES):
        weights, intercept = _fit(rows, label, penalty, continuous, weights, intercept)
        loss = float(losses(held_out @ (axes @ weights) + intercept, held_out_label, continuous).mean())
        if loss < lowest:
            best, lowest = (axes @ weights, intercept), loss
    return best


def _fit(rows: Any, label: Any, penalty: float, continuous: bool, weights: Any, intercept: Any) -> tuple[Any, Any]:
    """Return the penalised head by Newton's method, which halves steps that raise the loss."""
    import torch

    design = torch.cat([rows, torch.ones(len(rows), 1, dtype=rows.dtype)], 1)
    ridge = torch.full((design.shape[1],), penalty, dtype=rows.dtype)
    ridge[-1] = 1e-3  # a single class has a finite head too
    head = torch.cat([weights, intercept[None]])

    def loss_of(values: Any) -> Any:
        return losses(design @ values, label, continuous).sum() + (ridge * values.square()).sum() / 2

    loss = loss_of(head)
    for _ in range(_STEPS):
        logits = design @ head
        fitted = logits if continuous else torch.sigmoid(logits)
        curvature = torch.ones_like(fitted) if continuous else fitted * (1 - fitted)
        gradient = design.T @ (fitted - label) + ridge * head
        hessian = design.T @ (curvature[:, None] * design) + torch.diag(ridge)
        step = torch.linalg.solve(hessian, gradient)
        while (following := loss_of(head - step)) > loss and float(step.abs().max()) > _SMALL:
            step = step / 2
        done = float(loss - following) <= _SMALL * float(loss.abs())
        if following <= loss:
            head, loss = head - step, following
        if done:
            break
    return head[:-1], head[-1]
