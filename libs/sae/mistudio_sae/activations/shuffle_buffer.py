"""Mixes activations of many documents before a training step sees them."""

from collections.abc import Mapping

import torch
from torch import Tensor


class ShuffleBuffer:
    """Preallocated slots for activations, from which batches are drawn without replacement, in a seeded random order.

    Rows of all hook points share their slots, so that a draw returns the same tokens for each.
    `order` is a permutation of the slots: the first `size` are occupied, and a draw takes from their shuffled end.
    A slot is read and later overwritten in place; nothing is moved.
    """

    def __init__(
        self, capacity: int, widths: Mapping[str, int], *, dtype: torch.dtype, device: torch.device, seed: int
    ) -> None:
        """Allocate `capacity` rows of width widths[name] for each hook point."""
        self.capacity = capacity
        self.size = 0
        self._rows = {name: torch.zeros(capacity, width, dtype=dtype, device=device) for name, width in widths.items()}
        self._order = torch.arange(capacity)
        self._generator = torch.Generator().manual_seed(seed)
        self._shuffled = False

    @property
    def free(self) -> int:
        """Rows that may still be put."""
        return self.capacity - self.size

    def put(self, rows: Mapping[str, Tensor]) -> None:
        """Store rows [n, width] of every hook point; raises ValueError when n exceeds `free`."""
        count = len(next(iter(rows.values())))
        if count > self.free:
            raise ValueError(f"{count} rows do not fit into {self.free} free slots")
        slots = self._order[self.size : self.size + count]
        for name, stored in self._rows.items():
            stored.index_copy_(0, slots.to(stored.device), rows[name])
        self.size += count
        self._shuffled = False

    def draw(self, count: int) -> dict[str, Tensor]:
        """Remove and return `count` random rows of every hook point; raises ValueError when fewer are stored."""
        if count > self.size:
            raise ValueError(f"{count} rows asked for, {self.size} stored")
        if not self._shuffled:
            shuffle = torch.randperm(self.size, generator=self._generator)
            self._order[: self.size] = self._order[: self.size][shuffle]
            self._shuffled = True
        slots = self._order[self.size - count : self.size]
        self.size -= count
        return {name: rows.index_select(0, slots.to(rows.device)) for name, rows in self._rows.items()}

    def peek(self, count: int) -> dict[str, Tensor]:
        """Return up to `count` stored rows of every hook point without removing them."""
        slots = self._order[: min(count, self.size)]
        return {name: rows.index_select(0, slots.to(rows.device)) for name, rows in self._rows.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything that the next draws depend on, as tensors (not copies)."""
        position = torch.tensor([self.size, int(self._shuffled)])
        rows = {f"rows.{name}": rows for name, rows in self._rows.items()}
        return {**rows, "order": self._order, "position": position, "generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue where the buffer that gave `state` was; raises RuntimeError when the shapes differ."""
        for name, rows in self._rows.items():
            rows.copy_(state[f"rows.{name}"])
        self._order.copy_(state["order"])
        self.size, self._shuffled = int(state["position"][0]), bool(state["position"][1])
        self._generator.set_state(state["generator"])
