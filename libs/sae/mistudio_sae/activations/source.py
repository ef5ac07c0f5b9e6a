"""Shuffled batches of activations: a harvest that keeps a shuffle buffer between half full and full."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mistudio_sae.activations.harvest import Cursor, Harvest
from mistudio_sae.activations.shuffle_buffer import ShuffleBuffer


class ActivationSource:
    """Feeds a buffer of `capacity` rows from a harvest.

    The caller alternates: `harvest_once` while `hungry`, else `draw`. Every call is short, so that a caller can answer
    a request to stop between them, and the state between two calls is complete.
    """

    def __init__(self, harvest: Harvest, *, capacity: int, harvest_rows: int, seed: int) -> None:
        """Use a buffer of `capacity` rows; `harvest_rows` is the most rows that one harvest can yield."""
        self._harvest = harvest
        self._capacity, self._harvest_rows, self._seed = capacity, harvest_rows, seed
        self._buffer: ShuffleBuffer | None = None
        self.hungry = True

    @property
    def epoch(self) -> int:
        """How often the split has been begun before the block that is read next."""
        return self._harvest.cursor.epoch

    @property
    def stored(self) -> int:
        """Rows in the buffer."""
        return self._buffer.size if self._buffer else 0

    def harvest_once(self) -> None:
        """Harvest one batch of blocks into the buffer; not hungry any more once another one might not fit."""
        rows = next(self._harvest)
        if self._buffer is None:
            self._buffer = self._allocate(rows)
        self._buffer.put(rows)
        self.hungry = self._buffer.free >= self._harvest_rows

    def draw(self, count: int) -> dict[str, Tensor]:
        """Return `count` random rows [count, d] by hook name; hungry again once the buffer is half empty."""
        buffer = self._filled()
        batch = buffer.draw(count)
        # Mixing suffers in an emptier buffer; count rows must be there for the next draw.
        self.hungry = buffer.size < max(self._capacity // 2, count)
        return batch

    def peek(self, count: int) -> dict[str, Tensor]:
        """Return up to `count` rows by hook name without removing them."""
        return self._filled().peek(count)

    def state_dict(self) -> dict[str, Tensor]:
        """Return buffer and cursor as tensors."""
        cursor = self._harvest.cursor
        position = torch.tensor([cursor.epoch, cursor.block, int(self.hungry)])
        return {"cursor": position, **{f"buffer.{k}": v for k, v in self._filled().state_dict().items()}}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue where the source that gave `state` was."""
        epoch, block, hungry = (int(value) for value in state["cursor"])
        self._harvest.cursor, self.hungry = Cursor(epoch, block), bool(hungry)
        saved = {name.removeprefix("buffer."): value for name, value in state.items() if name.startswith("buffer.")}
        rows = {name.removeprefix("rows."): value for name, value in saved.items() if name.startswith("rows.")}
        self._buffer = self._allocate(rows)
        self._buffer.load_state_dict(saved)

    def _allocate(self, rows: Mapping[str, Tensor]) -> ShuffleBuffer:
        first = next(iter(rows.values()))
        widths = {name: value.shape[1] for name, value in rows.items()}
        # The harvest's device: rows from a checkpoint come from the CPU, wherever they were when it was written.
        return ShuffleBuffer(self._capacity, widths, dtype=first.dtype, device=self._harvest.device, seed=self._seed)

    def _filled(self) -> ShuffleBuffer:
        if self._buffer is None:
            raise ValueError("nothing is harvested yet")
        return self._buffer
