"""How often each latent fires."""

from __future__ import annotations

import torch
from torch import Tensor

EDGES = tuple(-7.0 + step / 4 for step in range(29))
"""Quarter decades of log10 density from 1e-7 to 1."""


class DensityMeter:
    """Counts firings per latent."""

    def __init__(self, d_sae: int) -> None:
        self.fired = torch.zeros(d_sae, dtype=torch.int64)
        self.tokens = 0

    def add(self, f: Tensor) -> None:
        """Add tokens: f [tokens, d_sae]."""
        self.fired += (f != 0).sum(dim=0).cpu()
        self.tokens += len(f)

    def dead_fraction(self) -> float:
        """Share of latents that never fired."""
        return float((self.fired == 0).double().mean())

    def histogram(self) -> tuple[int, ...]:
        """Living latents per quarter decade of density, see `EDGES`; rarer ones fall into the first bin."""
        living = self.fired[self.fired > 0].double() / max(1, self.tokens)
        bins = torch.bucketize(living.log10(), torch.tensor(EDGES[1:-1], dtype=torch.float64), right=True)
        return tuple(torch.bincount(bins, minlength=len(EDGES) - 1).tolist())
