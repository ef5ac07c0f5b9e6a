"""Which latents fire, how often, and which are dead; everything is counted in tokens."""

from collections.abc import Mapping

import torch
from torch import Tensor

_FLOOR = 1e-10
"""Added to a frequency before its logarithm, as SAELens does."""


class FiringRecord:
    """Tokens since each latent fired last, and its frequency over the last one to two windows."""

    def __init__(self, d_sae: int, *, dead_window: int, frequency_window: int, device: torch.device) -> None:
        """Start with every latent alive and nothing counted; windows are in tokens."""
        self._dead_window, self._frequency_window = dead_window, frequency_window
        self._silent = torch.zeros(d_sae, dtype=torch.int64, device=device)
        self._counts = torch.zeros(2, d_sae, dtype=torch.int64, device=device)
        self._tokens = [0, 0]

    def update(self, fired: Tensor, tokens: int) -> None:
        """Add a batch of `tokens` in which each latent fired fired[i] times, int64 [d_sae]."""
        self._silent = torch.where(fired > 0, 0, self._silent + tokens)
        if self._tokens[1] >= self._frequency_window:
            self._counts = torch.stack((self._counts[1], torch.zeros_like(fired)))
            self._tokens = [self._tokens[1], 0]
        self._counts[1] += fired
        self._tokens[1] += tokens

    def dead_mask(self) -> Tensor:
        """Return bool [d_sae]: True for a latent that has not fired within the dead window."""
        return self._silent >= self._dead_window

    def log10_frequency(self) -> Tensor:
        """Return log10 of the share of recent tokens in which each latent fired, fp32 [d_sae]; -10 for never."""
        share = self._counts.sum(0).double() / max(1, sum(self._tokens))
        return torch.log10(share + _FLOOR).float()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the counters as tensors."""
        return {"silent": self._silent, "counts": self._counts, "tokens": torch.tensor(self._tokens)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from the counters of another record."""
        device = self._silent.device
        self._silent, self._counts = state["silent"].to(device), state["counts"].to(device)
        self._tokens = [int(count) for count in state["tokens"]]
