"""Which document each position of a range of blocks belongs to, for many positions at once."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from mistudio_sae.tokens import TokensReader

Int64Array = npt.NDArray[np.int64]


class DocumentIndex:
    """Document starts and dataset rows of one split, by global position (block x context_length + offset)."""

    def __init__(self, reader: TokensReader, split: str) -> None:
        """Map the document tables of `split`; raises `TokensFormatError` when there is no such split."""
        self._context = reader.info.context_length
        self._tables: list[Int64Array] = []
        self._bases: list[int] = []
        base = 0
        for shard in reader.info.split(split).shards:
            table = np.load(reader.folder / shard.documents, mmap_mode="r", allow_pickle=False)
            self._tables.append(cast("Int64Array", table))
            self._bases.append(base)
            base += shard.blocks * self._context

    def starts(self, first_block: int, blocks: int) -> npt.NDArray[np.bool_]:
        """True where a document begins, bool [blocks, context_length]. A shard's first token counts as a start."""
        low, high = first_block * self._context, (first_block + blocks) * self._context
        mask = np.zeros(high - low, dtype=np.bool_)
        for base, table in zip(self._bases, self._tables, strict=True):
            begin, end = np.searchsorted(table[:, 0], (low - base, high - base))
            mask[table[begin:end, 0] + base - low] = True
        return mask.reshape(blocks, self._context)

    def rows(self, positions: Int64Array) -> Int64Array:
        """Dataset row of the document at each global position, [n]."""
        shard = np.searchsorted(self._bases, positions, side="right") - 1
        rows = np.empty(len(positions), dtype=np.int64)
        for index in np.unique(shard):
            here = shard == index
            table = self._tables[index]
            rows[here] = table[np.searchsorted(table[:, 0], positions[here] - self._bases[index], side="right") - 1, 1]
        return rows
