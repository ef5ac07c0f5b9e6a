"""Streaming activation histograms whose range need not be known beforehand."""

from __future__ import annotations

import torch
from torch import Tensor

_UNSET = -(2**30)


class ActivationHistogram:
    """Per row, equal-width bins over [0, 2^e), e the smallest exponent above the row's maximum.

    When a larger value arrives the range doubles and bins merge in pairs. Widths are powers of two, so this loses
    nothing: the counts are exactly those of a histogram made with the final range, whatever the batches were.
    """

    def __init__(self, rows: int, bins: int) -> None:
        self.bins = bins
        self.counts = torch.zeros(rows, bins, dtype=torch.int64)
        self.exponent = torch.full((rows,), _UNSET, dtype=torch.int64)

    def add(self, row: Tensor, value: Tensor) -> None:
        """Count value[i] > 0 in row[i]; both [entries]."""
        largest = torch.zeros(len(self.exponent)).scatter_reduce_(0, row, value, "amax")
        seen = torch.where(largest > 0, torch.frexp(largest).exponent.long(), _UNSET)
        self._widen(torch.maximum(self.exponent, seen))
        width = self.exponent[row]
        bin_index = torch.ldexp(value.double() * self.bins, -width).long().clamp_(max=self.bins - 1)
        self.counts.view(-1).index_add_(0, row * self.bins + bin_index, torch.ones_like(bin_index))

    def upper_edge(self) -> Tensor:
        """The upper edge of each row's last bin, float64 [rows]; 0 where nothing was counted."""
        edge = torch.ldexp(torch.ones(len(self.exponent), dtype=torch.float64), self.exponent.clamp(min=-1000))
        return torch.where(self.exponent == _UNSET, torch.zeros_like(edge), edge)

    def _widen(self, exponent: Tensor) -> None:
        growing = ((exponent > self.exponent) & (self.exponent != _UNSET)).nonzero().squeeze(1)
        if len(growing):
            steps = (exponent[growing] - self.exponent[growing]).clamp(max=62)
            target = torch.arange(self.bins).unsqueeze(0) >> steps.unsqueeze(1)
            merged = torch.zeros(len(growing), self.bins, dtype=torch.int64)
            self.counts[growing] = merged.scatter_add_(1, target, self.counts[growing])
        self.exponent = exponent
