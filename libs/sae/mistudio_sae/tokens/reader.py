"""Reads a tokens artifact without loading it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mistudio_sae.errors import TokensFormatError
from mistudio_sae.tokens.info import ShardInfo, TokensInfo, load_info

_COLUMNS = 2
"""Columns of a document table: offset, dataset row."""


class Blocks:
    """The blocks of one split as one memory-mapped sequence."""

    def __init__(self, shards: list[npt.NDArray[Any]], context_length: int) -> None:
        """Join shards [blocks, context_length]; no token is read before it is asked for."""
        self._shards = shards
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])
        self.context_length = context_length

    def __len__(self) -> int:
        """Return the number of blocks."""
        return int(self._starts[-1])

    def __getitem__(self, key: slice | npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the blocks of a slice or an index array, int64 [n, context_length], in the order asked for.

        Raises IndexError for an index outside [0, len).
        """
        index = np.arange(*key.indices(len(self))) if isinstance(key, slice) else np.asarray(key)
        if index.size and (index.min() < 0 or index.max() >= len(self)):
            raise IndexError(f"block index outside [0, {len(self)})")
        result = np.empty((len(index), self.context_length), dtype=np.int64)
        shard_of = np.searchsorted(self._starts, index, side="right") - 1
        for shard in np.unique(shard_of):
            here = shard_of == shard
            result[here] = self._shards[shard][index[here] - self._starts[shard]]
        return result

    def locate(self, block: int) -> tuple[int, int]:
        """Return (shard, block within that shard); raise IndexError for a block outside [0, len)."""
        if not 0 <= block < len(self):
            raise IndexError(f"block {block} outside [0, {len(self)})")
        shard = int(np.searchsorted(self._starts, block, side="right")) - 1
        return shard, block - int(self._starts[shard])


class TokensReader:
    """An open tokens artifact; `info` describes it."""

    def __init__(self, folder: Path, info: TokensInfo) -> None:
        """Keep the folder; use `open` to make one."""
        self.folder = folder
        self.info = info
        self._blocks: dict[str, Blocks] = {}
        self._documents: dict[str, list[npt.NDArray[np.int64]]] = {}

    @classmethod
    def open(cls, path: str | Path) -> "TokensReader":
        """Open a folder and map every shard; raise TokensFormatError when one is absent or not as declared."""
        folder = Path(path)
        reader = cls(folder, load_info(folder))
        for name, split in reader.info.splits.items():
            arrays = [reader._map_tokens(shard) for shard in split.shards]
            reader._blocks[name] = Blocks(arrays, reader.info.context_length)
            reader._documents[name] = [reader._map_documents(shard) for shard in split.shards]
        return reader

    def blocks(self, split: str) -> Blocks:
        """Return the blocks of a split; raise TokensFormatError when there is no such split."""
        self.info.split(split)
        return self._blocks[split]

    def document_at(self, split: str, block: int, position: int) -> int:
        """Return the dataset row of the document that the token at `position` of `block` belongs to."""
        shard, row = self.blocks(split).locate(block)
        table = self._documents[split][shard]
        offset = row * self.info.context_length + position
        return int(table[np.searchsorted(table[:, 0], offset, side="right") - 1, 1])

    def special_mask(self, ids: torch.Tensor) -> torch.Tensor:
        """Return bool [n, context_length], True where a position of ids [n, context_length] counts (is not BOS).

        Blocks are packed, so there is no padding to leave out.
        """
        if self.info.bos_token_id is None:
            return torch.ones_like(ids, dtype=torch.bool)
        return ids != self.info.bos_token_id

    def _map_tokens(self, shard: ShardInfo) -> npt.NDArray[Any]:
        array = self._map(shard.tokens)
        if array.shape != (shard.blocks, self.info.context_length) or array.dtype != self.info.dtype:
            raise TokensFormatError(f"{shard.tokens} is {array.dtype}{array.shape}, not as tokens.json declares.")
        return array

    def _map_documents(self, shard: ShardInfo) -> npt.NDArray[np.int64]:
        array = self._map(shard.documents)
        if array.shape != (len(array), _COLUMNS) or array.dtype != np.int64 or not len(array) or array[0, 0] != 0:
            raise TokensFormatError(f"{shard.documents} does not hold document starts; tokenize the dataset again.")
        return array

    def _map(self, name: str) -> npt.NDArray[Any]:
        try:
            mapped: npt.NDArray[Any] = np.load(self.folder / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as err:
            raise TokensFormatError(
                f"{self.folder / name} cannot be read ({err}); tokenize the dataset again."
            ) from err
        return mapped
