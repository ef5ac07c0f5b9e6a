"""Which latents fire on the same tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from mistudio_sae.features.batch import LatentBatch

_MAX_PAIRS = 2**21
"""Pairs listed one by one; beyond, a dense product is faster and its memory is bounded. Both count exactly."""


class Cooccurrence:
    """Counts pairs of latents that are active on one token, on every `stride`-th token of the split."""

    def __init__(self, rows: int, stride: int) -> None:
        self._stride = stride
        self.counts = torch.zeros(rows, rows, dtype=torch.int32)

    def add(self, batch: LatentBatch) -> None:
        """Count the sampled tokens of a batch."""
        active = batch.values.reshape(-1, batch.rows)[batch.ordinals % self._stride == 0] > 0
        token, row = active.nonzero(as_tuple=True)
        fired = torch.bincount(token, minlength=len(active))
        if int((fired * fired).sum()) > _MAX_PAIRS:
            dense = active.float()
            self.counts += (dense.T @ dense).int()
            return
        pairs = _pairs(token, row, fired)
        self.counts.view(-1).index_add_(
            0, pairs[0] * batch.rows + pairs[1], torch.ones_like(pairs[0], dtype=torch.int32)
        )

    def nearest(self, count: int) -> tuple[Tensor, Tensor]:
        """Rows and Jaccard indices |A and B| / |A or B| of each row's `count` closest others, both [rows, count].

        Equal indices are ordered by row; an index of 0 means that there is no such partner.
        """
        fired = self.counts.diagonal().double()
        rows = len(fired)
        count = min(count, rows - 1)
        nearest, score = torch.zeros(rows, count, dtype=torch.int64), torch.zeros(rows, count)
        for row in range(rows):
            both = self.counts[row].double()
            jaccard = both / (fired[row] + fired - both).clamp(min=1)
            jaccard[row] = -1
            ranked = jaccard.sort(descending=True, stable=True)
            nearest[row], score[row] = ranked.indices[:count], ranked.values[:count].float()
        return nearest, score


def _pairs(token: Tensor, row: Tensor, fired: Tensor) -> tuple[Tensor, Tensor]:
    """Every ordered pair of rows that share a token, itself included; `token` ascending, `fired` its counts."""
    partners = fired[token]
    begin = (fired.cumsum(0) - fired)[token]
    step = torch.arange(int(partners.sum())) - (partners.cumsum(0) - partners).repeat_interleave(partners)
    return row.repeat_interleave(partners), row[begin.repeat_interleave(partners) + step]
