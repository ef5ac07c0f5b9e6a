"""Runs a model over tokens and yields what it computes at hook points, special tokens left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mistudio_sae.features.documents import DocumentIndex
from mistudio_sae.fit import check_split_fits_model
from mistudio_sae.models import HookPoint, LanguageModel, capture
from mistudio_sae.tokens import TokensReader

_BATCH_BLOCKS = 16


@dataclass(frozen=True)
class TokenBatch:
    """Consecutive tokens that count."""

    activations: dict[str, Tensor]
    """By hook point, [tokens, width], in the model's dtype on its device."""
    places: dict[str, Tensor]
    """int64 [tokens] on the CPU: token_ids, blocks, positions (within the block), documents (rows of the dataset)."""
    done_tokens: int
    """Tokens read so far, special ones included."""


class TokenBatches:
    """The first tokens of a split (whole blocks, at least one), through a model."""

    def __init__(self, lm: LanguageModel, reader: TokensReader, split: str, max_tokens: int) -> None:
        """Takes the most tokens to read, 0 for all. Raises TokensFormatError if the tokens do not fit the model."""
        self._lm, self._reader = lm, reader
        self._blocks = reader.blocks(split)
        self._documents = DocumentIndex(reader, split)
        self.context_length = reader.info.context_length
        check_split_fits_model(lm, reader, split)
        budget = max(1, max_tokens // self.context_length) if max_tokens else len(self._blocks)
        self.total_blocks = min(len(self._blocks), budget)

    @property
    def total_tokens(self) -> int:
        """Tokens that will be read, special ones included."""
        return self.total_blocks * self.context_length

    def read(self, hooks: Sequence[HookPoint]) -> Iterator[TokenBatch]:
        """Yields the batches in the order of the blocks."""
        for first in range(0, self.total_blocks, _BATCH_BLOCKS):
            last = min(first + _BATCH_BLOCKS, self.total_blocks)
            ids = torch.from_numpy(self._blocks[first:last])
            counted = self._reader.special_mask(ids)
            captured = capture(self._lm, ids.to(self._lm.device), hooks)
            activations = {name: x[counted.to(x.device)] for name, x in captured.items()}
            yield TokenBatch(activations, self._places(first, ids, counted), last * self.context_length)

    def _places(self, first: int, ids: Tensor, counted: Tensor) -> dict[str, Tensor]:
        block, position = counted.nonzero(as_tuple=True)
        block = block + first
        rows = self._documents.rows(np.asarray(block * self.context_length + position))
        return {
            "token_ids": ids[counted],
            "blocks": block,
            "positions": position,
            "documents": torch.from_numpy(rows),
        }
