"""Everything that is counted about latents while tokens stream by; its size does not depend on their number."""

from __future__ import annotations

import torch
from torch import Tensor

from mistudio_sae.features.batch import LatentBatch
from mistudio_sae.features.config import FeatureConfig
from mistudio_sae.features.cooccurrence import Cooccurrence
from mistudio_sae.features.exact_sum import ExactSum
from mistudio_sae.features.examples import ExampleCollector
from mistudio_sae.features.histogram import ActivationHistogram
from mistudio_sae.features.interestingness import Float64Array


class FeatureAccumulator:
    """Streaming statistics of some latents.

    Given the same activations, the result is bit for bit the same however they are cut into batches: counts are
    integers, sums are fixed point, and examples are the best under a total order.
    """

    def __init__(self, latents: Tensor, vocab_size: int, config: FeatureConfig) -> None:
        """Follow latents (ids, int64 [rows]) over token ids below `vocab_size`."""
        rows = len(latents)
        self.latents = latents
        self.tokens = 0
        self.token_counts = torch.zeros(vocab_size, dtype=torch.int64)
        self.fired = torch.zeros(rows, dtype=torch.int64)
        self.largest = torch.zeros(rows)
        self.sums = ExactSum(rows)
        self.histogram = ActivationHistogram(rows, config.histogram_bins)
        self.examples = ExampleCollector(latents, config)
        counted = 1 < rows <= config.cooccurrence_max_latents
        self.cooccurrence = Cooccurrence(rows, config.cooccurrence_stride) if counted else None

    def add(self, batch: LatentBatch) -> None:
        """Count a batch; batches must not overlap, their order is free."""
        self.tokens += int(batch.counted.sum())
        self.token_counts += torch.bincount(batch.ids[batch.counted], minlength=len(self.token_counts))
        if len(batch.row):
            self.fired += torch.bincount(batch.row, minlength=batch.rows)
            self.largest.scatter_reduce_(0, batch.row, batch.value, "amax")
            self.sums.add(batch.row, batch.value)
            self.histogram.add(batch.row, batch.value)
            self.examples.add(batch)
        if self.cooccurrence is not None:
            self.cooccurrence.add(batch)

    def density(self) -> Tensor:
        """Share of counted tokens on which each latent fired, float64 [rows]."""
        return self.fired.double() / max(1, self.tokens)

    def token_bits(self) -> Float64Array:
        """-log2 of the frequency of each token id among the counted ones, [vocab]; 0 for those never seen."""
        frequency = self.token_counts.double() / max(1, self.tokens)
        bits: Float64Array = torch.where(frequency > 0, -frequency.log2(), 0.0).numpy()
        return bits

    def mean_active(self) -> Tensor:
        """Mean activation over the tokens on which it fired, float64 [rows]; 0 for a dead latent."""
        return self.sums.total() / self.fired.clamp(min=1)
