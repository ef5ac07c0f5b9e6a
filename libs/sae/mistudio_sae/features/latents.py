"""From token blocks to batches of latents."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mistudio_sae.errors import ConfigError
from mistudio_sae.evaluation.inputs import check_finite
from mistudio_sae.features.batch import LatentBatch
from mistudio_sae.features.config import MAX_TOKENS, FeatureConfig
from mistudio_sae.features.documents import DocumentIndex
from mistudio_sae.features.subject import Subject
from mistudio_sae.features.windows import make_windows
from mistudio_sae.models import capture

_LATENTS_HELD = 2**26
"""Latents of all tokens in one forward pass, at most: 256 MiB in fp32, of which a few copies live at a time."""


class LatentSource:
    """Latent activations of one SAE over the first blocks of a split.

    Every forward pass has the same shape (the last is filled up with copies) and the same alignment, so each token's
    activations are computed by the same operations whatever the batch size, and are the same bits on one machine.
    """

    def __init__(self, subject: Subject, config: FeatureConfig) -> None:
        reader, split = subject.reader, subject.split
        self._subject, self._config = subject, config
        fitting = _LATENTS_HELD // (reader.info.context_length * subject.sae.config.d_sae)
        self.forward_blocks = max(1, min(config.forward_blocks, fitting))
        """Blocks a forward pass."""
        self._blocks = reader.blocks(split)
        self._documents = DocumentIndex(reader, split)
        wanted = range(subject.sae.config.d_sae) if config.latents is None else sorted(config.latents)
        self.latents = torch.tensor(list(wanted), dtype=torch.int64)
        self.context = reader.info.context_length
        budget = len(self._blocks) if config.max_tokens is None else max(1, config.max_tokens // self.context)
        self.total_blocks = min(len(self._blocks), budget)
        if self.total_blocks * self.context > MAX_TOKENS:
            raise ConfigError("features.max_tokens", f"the split is longer than {MAX_TOKENS} tokens; set a budget.")

    def batches(self, start: int, stop: int) -> Iterator[LatentBatch]:
        """Latents of blocks start..stop, a forward pass at a time; start must be a multiple of `forward_blocks`."""
        for first in range(start, stop, self.forward_blocks):
            yield self._batch(first, min(first + self.forward_blocks, stop))

    @torch.no_grad()
    def _batch(self, first: int, last: int) -> LatentBatch:
        ids = torch.from_numpy(self._blocks[first:last])
        counted = self._subject.reader.special_mask(ids)
        starts = torch.from_numpy(self._documents.starts(first, last - first))
        windows = make_windows(ids, counted, starts, self._config.left_tokens, self._config.right_tokens)
        values = self._latents(ids).mul_(counted.unsqueeze(-1))
        check_finite(values, self._subject.hook)
        return LatentBatch(first, ids, values, windows, counted)

    def _latents(self, ids: Tensor) -> Tensor:
        missing = self.forward_blocks - len(ids)
        filled = torch.cat((ids, ids[-1:].expand(missing, -1))) if missing else ids
        lm, hook = self._subject.lm, self._subject.hook
        x = capture(lm, filled.to(lm.device), [hook])[hook.name]
        f = self._subject.sae.encode(x.float())[: len(ids)].float()
        if len(self.latents) < f.shape[-1]:
            f = f[..., self.latents.to(f.device)]
        return f.cpu()
