"""The active latents of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Codes:
    """Which latents are active in which of B tokens, token by token; n entries in all.

    An entry of value 0 is inactive: a place that was kept for a latent that did not reach above 0.
    """

    values: Tensor
    """[n], with its graph; at least 0."""
    latents: Tensor
    """int64 [n], in 0..d_sae-1."""
    begins: Tensor
    """int64 [B + 1]: the entries of token t are begins[t]..begins[t + 1] - 1."""

    @classmethod
    def of_rows(cls, values: Tensor, latents: Tensor) -> Codes:
        """Take as many entries for each token: values and latents [B, k]."""
        batch, k = latents.shape
        begins = torch.arange(0, batch * k + 1, k, device=latents.device)
        return cls(values.flatten(), latents.flatten(), begins)

    @property
    def batch(self) -> int:
        """B."""
        return len(self.begins) - 1

    @cached_property
    def tokens(self) -> Tensor:
        """int64 [n]: the token of each entry."""
        counts = self.begins.diff()
        return torch.arange(self.batch, device=counts.device).repeat_interleave(counts, output_size=len(self.latents))

    def fired(self, d_sae: int) -> Tensor:
        """Return int64 [d_sae]: in how many tokens each latent is above 0."""
        return torch.bincount(self.latents[self.values.detach() > 0], minlength=d_sae)

    def dense(self, d_sae: int) -> Tensor:
        """Return the latents f [B, d_sae]."""
        flat = self.values.new_zeros(self.batch * d_sae)
        # Added, not set: an inactive entry may name a latent that is active by another one.
        return flat.index_add(0, self.tokens * d_sae + self.latents, self.values).view(self.batch, d_sae)
