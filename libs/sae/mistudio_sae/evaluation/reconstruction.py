"""Streaming reconstruction metrics, accumulated in float64."""

from __future__ import annotations

import torch
from torch import Tensor

_SMALLEST_NORM = 1e-4
"""Below this an input counts as norm 1 in the L2 ratio, as in SAELens."""


class ReconstructionMeter:
    """Collects x, x_hat and f of counted tokens. Variance is merged by Chan, Golub and LeVeque's rule (1979).

    That rule keeps its digits where the mean is large against the spread, as it is in residual streams.
    """

    def __init__(self, d_in: int) -> None:
        self.tokens = 0
        self._mean = torch.zeros(d_in, dtype=torch.float64)
        self._spread = self._error = self._active = self._cosine = self._ratio = 0.0

    def add(self, x: Tensor, x_hat: Tensor, f: Tensor) -> None:
        """Add tokens: x and x_hat [tokens, d_in], f [tokens, d_sae]."""
        if len(x) == 0:
            return
        self._active += float((f != 0).sum())
        x, x_hat = x.double(), x_hat.double()
        self._error += float((x - x_hat).square().sum())
        norm, norm_hat = x.norm(dim=1), x_hat.norm(dim=1)
        smallest = torch.finfo(torch.float64).tiny
        self._cosine += float(((x * x_hat).sum(dim=1) / (norm * norm_hat).clamp(min=smallest)).sum())
        self._ratio += float((norm_hat / torch.where(norm < _SMALLEST_NORM, 1.0, norm)).sum())
        self._merge_variance(x)

    def _merge_variance(self, x: Tensor) -> None:
        mean = x.mean(dim=0)
        shift = mean.cpu() - self._mean
        total = self.tokens + len(x)
        self._spread += float((x - mean).square().sum()) + float(shift.square().sum()) * self.tokens * len(x) / total
        self._mean += shift * (len(x) / total)
        self.tokens = total

    def l0(self) -> float:
        """Mean active latents a token."""
        return self._active / self.tokens

    def fvu(self) -> float:
        """Fraction of variance unexplained; for inputs that do not vary, 0 if they are matched and 1 if not."""
        if self._spread == 0:
            return float(self._error > 0)
        return self._error / self._spread

    def cosine_similarity(self) -> float:
        """Mean cosine between input and reconstruction; a zero vector counts as 0."""
        return self._cosine / self.tokens

    def l2_ratio(self) -> float:
        """Mean ratio of norms, reconstruction to input."""
        return self._ratio / self.tokens
