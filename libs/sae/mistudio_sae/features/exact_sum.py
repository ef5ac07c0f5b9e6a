"""Sums that do not depend on the order of their terms."""

from __future__ import annotations

import torch
from torch import Tensor

_HIGH_BITS = 8
_LOW_BITS = 24


class ExactSum:
    """Per-row sums of non-negative float32 values, in fixed point.

    Each value is cut to a multiple of 2^-32 and kept in two int64 limbs, so addition is associative and the result is
    the same for every batch size and shard count. Holds up to 2^31 terms of at most 2^24 a row.
    """

    def __init__(self, rows: int) -> None:
        self.high = torch.zeros(rows, dtype=torch.int64)
        self.low = torch.zeros(rows, dtype=torch.int64)

    def add(self, row: Tensor, value: Tensor) -> None:
        """Add value[i] to row[i]; both [entries]."""
        scaled = value.double() * 2**_HIGH_BITS
        high = scaled.floor()
        low = ((scaled - high) * 2**_LOW_BITS).floor()
        self.high.index_add_(0, row, high.long())
        self.low.index_add_(0, row, low.long())

    def total(self) -> Tensor:
        """The sums, float64 [rows]."""
        total: Tensor = (self.high.double() + self.low.double() / 2**_LOW_BITS) / 2**_HIGH_BITS
        return total
