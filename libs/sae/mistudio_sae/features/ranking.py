"""Largest entries of each row, with ties broken by the lower index on every device."""

from __future__ import annotations

import torch
from torch import Tensor

_INDEX_MASK = 2**32 - 1


def largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Values and indices of the `count` largest of each row of float32 [rows, n], best first; both [rows, count].

    Ranks a packed integer key, because `torch.topk` promises nothing about equal values.
    """
    count = min(count, values.shape[1])
    # +0.0 turns -0.0 into 0.0, whose bits would rank below it.
    bits = (values.float() + 0.0).contiguous().view(torch.int32).long()
    ordered = torch.where(bits >= 0, bits, bits ^ 0x7FFFFFFF)
    index = torch.arange(values.shape[1], device=values.device)
    key = (ordered << 32) | (_INDEX_MASK - index)
    chosen = _INDEX_MASK - (key.topk(count, dim=1).values & _INDEX_MASK)
    return values.gather(1, chosen), chosen
