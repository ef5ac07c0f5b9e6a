"""One batch of latents as the accumulators read it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mistudio_sae.features.windows import Windows

_ORDINAL_MASK = 2**32 - 1


def pack(value: Tensor, ordinal: Tensor) -> Tensor:
    """Join activations (float32 > 0) and token ordinals (below 2^32) into int64 keys of the same shape.

    Keys order by value, then by earliest token: the bits of a positive float order like the float itself.
    """
    bits = value.contiguous().view(torch.int32).long()
    return (bits << 32) | (_ORDINAL_MASK - ordinal)


def unpack(key: Tensor) -> tuple[Tensor, Tensor]:
    """The float32 values and int64 ordinals of packed keys."""
    return (key >> 32).int().view(torch.float32), _ORDINAL_MASK - (key & _ORDINAL_MASK)


@dataclass(frozen=True)
class LatentBatch:
    """Latent activations of consecutive blocks, with what is needed to place them in their text."""

    first_block: int
    """Index of the first block in the split."""
    ids: Tensor
    """Token ids, int64 [blocks, context]."""
    values: Tensor
    """Activations, float32 [blocks, context, rows], >= 0 and zero where a position does not count."""
    windows: Windows
    """Window of every position."""
    counted: Tensor
    """bool [blocks, context], False at special tokens."""

    @property
    def rows(self) -> int:
        """Number of latents followed."""
        return self.values.shape[2]

    @cached_property
    def ordinals(self) -> Tensor:
        """Global token ordinal of each position, int64 [blocks * context]."""
        tokens = self.counted.numel()
        return torch.arange(tokens) + self.first_block * self.counted.shape[1]

    @cached_property
    def token(self) -> Tensor:
        """Flat position in the batch of every active latent, int64 [entries]; ascending."""
        return self._active[:, 0]

    @cached_property
    def row(self) -> Tensor:
        """Row of every active latent, int64 [entries]."""
        return self._active[:, 1]

    @cached_property
    def value(self) -> Tensor:
        """Activation of every active latent, float32 [entries]."""
        return self.values.reshape(-1, self.rows)[self.token, self.row]

    @cached_property
    def peaks(self) -> Tensor:
        """Packed key of each block's strongest (then earliest) token per latent, int64 [blocks, rows]; 0 if none."""
        blocks, context = self.counted.shape
        key = pack(self.value, self.ordinals[self.token])
        place = (self.token // context) * self.rows + self.row
        best = torch.zeros(blocks * self.rows, dtype=torch.int64)
        return best.scatter_reduce_(0, place, key, "amax").view(blocks, self.rows)

    @cached_property
    def _active(self) -> Tensor:
        return (self.values.reshape(-1, self.rows) > 0).nonzero()
