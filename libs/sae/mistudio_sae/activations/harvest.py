"""Runs the model over the blocks of a split, again and again, and keeps the activations of positions that count."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mistudio_sae.errors import DivergenceError, TokensFormatError
from mistudio_sae.models import HookPoint, LanguageModel, capture
from mistudio_sae.tokens import TokensReader


@dataclass(frozen=True)
class Cursor:
    """Where a harvest is: the next batch begins at place `block` of the shuffled order of `epoch`, both from 0."""

    epoch: int = 0
    block: int = 0


class Harvest(Iterator[dict[str, Tensor]]):
    """Endless iterator of activations by hook name, each [n, d] in the model's dtype, n ≤ block_batch · context length.

    Every epoch visits all blocks of the split once, in an order that is a function of (seed, epoch), so a harvest that
    starts from a `cursor` continues exactly where another one was. BOS positions are left out.
    """

    def __init__(
        self,
        lm: LanguageModel,
        tokens: TokensReader,
        hooks: Sequence[HookPoint],
        *,
        block_batch: int,
        seed: int,
        split: str = "train",
    ) -> None:
        """Prepare to read `block_batch` blocks a batch; the last batch of an epoch may be smaller."""
        self._lm, self._tokens, self._hooks = lm, tokens, list(hooks)
        self._blocks = tokens.blocks(split)
        self._block_batch, self._seed = block_batch, seed
        self._order: tuple[int, npt.NDArray[np.int64]] | None = None
        self._cursor = Cursor()
        self._kept_in_epoch = 0

    @property
    def device(self) -> torch.device:
        """Where the activations come from, and stay."""
        return self._lm.device

    @property
    def cursor(self) -> Cursor:
        """Where the next batch begins; assign to continue another harvest."""
        return self._cursor

    @cursor.setter
    def cursor(self, cursor: Cursor) -> None:
        self._cursor = cursor
        # An epoch that was entered elsewhere may have kept something before.
        self._kept_in_epoch = min(cursor.block, 1)

    def __next__(self) -> dict[str, Tensor]:
        """Return the activations of the next blocks and move the cursor.

        Raises TokensFormatError for an id that the model does not have or when no position counts, and DivergenceError
        for activations that are not finite.
        """
        ids = torch.from_numpy(self._blocks[self._next_blocks()])
        if ids.max() >= self._lm.vocab_size:
            raise TokensFormatError(
                f"token id {int(ids.max())} is beyond the model's {self._lm.vocab_size}; "
                "tokenize with the tokenizer of this model."
            )
        mask = self._tokens.special_mask(ids)
        self._kept_in_epoch += int(mask.sum())
        captured = capture(self._lm, ids.to(self._lm.device), self._hooks)
        # Blocks without a special token are the common case: no copy then.
        rows = None if mask.all() else mask.to(self._lm.device)
        return {name: _finite(name, x.flatten(0, 1) if rows is None else x[rows]) for name, x in captured.items()}

    def _next_blocks(self) -> npt.NDArray[np.int64]:
        if self._cursor.block >= len(self._blocks):
            if self._kept_in_epoch == 0:
                raise TokensFormatError("no position of these tokens counts: every one is BOS; tokenize real text.")
            self._cursor, self._kept_in_epoch = Cursor(self._cursor.epoch + 1), 0
        start = self._cursor.block
        chosen = self._epoch_order(self._cursor.epoch)[start : start + self._block_batch]
        self._cursor = Cursor(self._cursor.epoch, start + len(chosen))
        return chosen

    def _epoch_order(self, epoch: int) -> npt.NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._order = epoch, rng.permutation(len(self._blocks))
        return self._order[1]


def _finite(name: str, rows: Tensor) -> Tensor:
    # One reduction finds any NaN or infinity without a mask of the size of the activations.
    if not torch.isfinite(rows.sum(dtype=torch.float32)):
        raise DivergenceError(
            name, "", "the model's activations are not finite; load it in float32 or check its weights."
        )
    return rows
