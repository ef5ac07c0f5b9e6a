"""What training needs to know of activations before it starts."""

import math

import torch
from torch import Tensor

_EPSILON = 1e-8


def activation_scale(x: Tensor) -> float:
    """Return s such that E‖s x‖ = √d over the rows of x [n, d] (Anthropic, Circuits Updates April 2024).

    Activations that are all zero get 1.
    """
    norm = x.double().norm(dim=1).mean().item()
    return math.sqrt(x.shape[1]) / norm if norm > 0 else 1.0


@torch.no_grad()
def geometric_median(x: Tensor, *, iterations: int = 100, tolerance: float = 1e-6) -> Tensor:
    """Return the point [d] with the least mean distance to the rows of x [n, d], in fp32.

    Weiszfeld's iteration y ← Σ x_i / ‖x_i - y‖ / Σ 1 / ‖x_i - y‖ from the mean, until a step is shorter than
    `tolerance` times the mean norm. Where Bricken et al. 2023 and Gao et al. 2024 start b_dec.
    """
    rows = x.float()
    median = rows.mean(0)
    limit = tolerance * float(rows.norm(dim=1).mean())
    for _ in range(iterations):
        weights = 1 / (rows - median).norm(dim=1).clamp_min(_EPSILON)
        updated = weights @ rows / weights.sum()
        moved, median = float((updated - median).norm()), updated
        if moved <= limit:
            break
    return median
