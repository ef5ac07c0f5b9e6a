"""Which contexts of a latent are kept: the strongest, and a uniform sample for the quantiles."""

from __future__ import annotations

import torch
from torch import Tensor

from mistudio_sae.features.batch import LatentBatch, unpack
from mistudio_sae.features.best import BestPerLatent, Candidates
from mistudio_sae.features.config import FeatureConfig
from mistudio_sae.features.hashing import priority


class ExampleCollector:
    """Follows each latent's peak in every block: one candidate context a block, so neighbouring tokens share one.

    `top` keeps the strongest distinct contexts. `sample` keeps those whose pseudo-random priority, a hash of seed,
    latent and window, is largest: a uniform sample over distinct contexts that needs no random state (bottom-k
    sampling, Cohen and Kaplan 2007).
    """

    def __init__(self, latents: Tensor, config: FeatureConfig) -> None:
        """Follow latents (ids, int64 [rows])."""
        width = config.window_tokens
        self._latents = latents
        self._left, self._right, self._seed = config.left_tokens, config.right_tokens, config.seed
        self.top = BestPerLatent(len(latents), config.top_k, width)
        self.sample = BestPerLatent(len(latents), config.sample_size, width)

    def add(self, batch: LatentBatch) -> None:
        """Offer the peaks of a batch to both lists."""
        block, row = (batch.peaks > 0).nonzero(as_tuple=True)
        key = batch.peaks[block, row]
        position = unpack(key)[1] - (batch.first_block + block) * batch.counted.shape[1]
        identity = batch.windows.fingerprint[block, position]
        for best, order in ((self.top, key), (self.sample, priority(identity, self._latents[row], self._seed))):
            enters = order >= best.floor()[row]
            place = (block[enters], position[enters], row[enters])
            window = self._activations(batch, *place)
            best.offer(Candidates(row[enters], order[enters], identity[enters], key[enters], window))

    def _activations(self, batch: LatentBatch, block: Tensor, position: Tensor, row: Tensor) -> Tensor:
        """Activations around each peak, float32 [entries, width]; NaN marks what lies outside its window."""
        offsets = torch.arange(-self._left, self._right + 1)
        around = position.unsqueeze(1) + offsets
        start, end = batch.windows.start[block, position], batch.windows.end[block, position]
        inside = (around >= start.unsqueeze(1)) & (around < end.unsqueeze(1))
        context = batch.counted.shape[1]
        found = batch.values[block.unsqueeze(1), around.clamp(0, context - 1), row.unsqueeze(1)]
        return torch.where(inside, found, torch.nan)
