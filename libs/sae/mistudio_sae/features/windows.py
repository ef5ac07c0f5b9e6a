"""Context windows: the tokens around a position, cut at block, document and special-token boundaries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mistudio_sae.features.hashing import GOLDEN, mix64


@dataclass(frozen=True)
class Windows:
    """Window bounds and identity of every position of some blocks; each tensor is int64 [blocks, context]."""

    start: Tensor
    """First position of the window."""
    end: Tensor
    """One past the last position of the window."""
    fingerprint: Tensor
    """64-bit hash of the window's token ids: equal windows are equal, others differ but for one chance in 2^64."""


def segment_bounds(counted: Tensor, document_start: Tensor) -> tuple[Tensor, Tensor]:
    """Start and end (exclusive) of the run of counted tokens of one document around each position.

    Both inputs are bool [blocks, context]; both outputs int64 of that shape.
    """
    context = counted.shape[1]
    positions = torch.arange(context, device=counted.device).expand_as(counted)
    opens = document_start | ~counted
    opens[:, 1:] |= ~counted[:, :-1]
    opens[:, 0] = True
    start = torch.where(opens, positions, 0).cummax(dim=1).values
    closes = torch.full_like(positions, context)
    closes[:, :-1] = torch.where(opens[:, 1:], positions[:, 1:], context)
    end = closes.flip(1).cummin(dim=1).values.flip(1)
    return start, end


def make_windows(ids: Tensor, counted: Tensor, document_start: Tensor, left: int, right: int) -> Windows:
    """Windows of `left` tokens before and `right` after each position; ids int64, masks bool, all [blocks, context].

    A window never crosses into another document nor over a position that does not count.
    """
    first, last = segment_bounds(counted, document_start.clone())
    positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    start = torch.maximum(first, positions - left)
    end = torch.minimum(last, positions + right + 1)
    return Windows(start, end, _fingerprints(ids, start, end))


def _fingerprints(ids: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Polynomial hash modulo 2^64 of ids[start:end] from prefix hashes."""
    blocks, context = ids.shape
    symbols = mix64(ids)
    prefix = torch.zeros(blocks, context + 1, dtype=torch.int64, device=ids.device)
    power = torch.ones(context + 1, dtype=torch.int64, device=ids.device)
    for position in range(context):
        prefix[:, position + 1] = prefix[:, position] * GOLDEN + symbols[:, position]
        power[position + 1] = power[position] * GOLDEN
    return mix64(prefix.gather(1, end) - prefix.gather(1, start) * power[end - start])
