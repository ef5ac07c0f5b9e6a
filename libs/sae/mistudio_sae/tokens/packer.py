"""Packs the documents of one split into shards of fixed-length blocks."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mistudio_sae.tokens.info import ShardInfo, SplitInfo


class SplitPacker:
    """Fills one preallocated shard at a time and saves it when it is full; memory does not grow with the split."""

    def __init__(self, folder: Path, split: str, shape: tuple[int, int], dtype: str, bos: int | None) -> None:
        """Prepare shards of `shape` = [blocks, context_length]; with `bos`, every block and document begins with it."""
        self._folder, self._split, self._bos = folder, split, bos
        self._buffer = np.empty(shape, dtype=dtype)
        self._flat = self._buffer.reshape(-1)
        self._filled = 0
        self._starts: list[tuple[int, int]] = []
        self._continued = False
        self._shards: list[ShardInfo] = []
        self._documents = 0

    def add(self, ids: npt.NDArray[np.int64], document: int) -> None:
        """Append one document's ids, opening new blocks and shards as they fill."""
        self._starts.append((self._filled, document))
        if self._bos is not None and (len(ids) == 0 or ids[0] != self._bos):
            ids = np.concatenate(([self._bos], ids))
        while len(ids):
            ids = ids[self._take(ids) :]
            if self._filled == self._flat.size:
                self._save(self._buffer.shape[0])
                if len(ids):
                    self._starts, self._continued = [(0, document)], True

    def finish(self) -> SplitInfo:
        """Save the last, partly filled shard, drop what does not fill a block, and return the split's totals."""
        context = self._buffer.shape[1]
        blocks, dropped = divmod(self._filled, context)
        if blocks:
            self._save(blocks)
        total = sum(shard.blocks for shard in self._shards)
        return SplitInfo(tuple(self._shards), total, total * context, self._documents, dropped)

    def _take(self, ids: npt.NDArray[np.int64]) -> int:
        """Copy as many ids as the place allows and return how many were taken from `ids`."""
        place = self._flat.size - self._filled
        if self._bos is not None:
            context = self._buffer.shape[1]
            if self._filled % context == 0 and ids[0] != self._bos:
                self._flat[self._filled] = self._bos
                self._filled += 1
            place = context - self._filled % context
        taken = min(place, len(ids))
        self._flat[self._filled : self._filled + taken] = ids[:taken]
        self._filled += taken
        return taken

    def _save(self, blocks: int) -> None:
        name = f"{self._split}-{len(self._shards):05d}"
        kept = blocks * self._buffer.shape[1]
        starts = [start for start in self._starts if start[0] < kept]
        np.save(self._folder / f"{name}.npy", self._buffer[:blocks], allow_pickle=False)
        table = np.array(starts, dtype=np.int64).reshape(-1, 2)
        np.save(self._folder / f"{name}.documents.npy", table, allow_pickle=False)
        self._shards.append(ShardInfo(f"{name}.npy", f"{name}.documents.npy", blocks))
        self._documents += len(starts) - int(self._continued)
        self._starts, self._filled, self._continued = [], 0, False
