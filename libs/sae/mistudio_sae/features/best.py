"""A bounded best-of list per latent, the same whatever order its candidates come in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

EMPTY = -1


@dataclass(frozen=True)
class Candidates:
    """Entries that ask for a place; every tensor has one element (or row) an entry."""

    row: Tensor
    """Latent's row, int64."""
    order: Tensor
    """What decides, int64 >= 0: larger is better."""
    identity: Tensor
    """Entries of one latent with equal identity are duplicates: only the best stays. int64."""
    key: Tensor
    """Packed value and ordinal (see `pack`), which decides between equal orders."""
    window: Tensor
    """Activations of the context window, float32 [entries, width], NaN outside it."""


class BestPerLatent:
    """Per row, the `capacity` best distinct candidates ever offered.

    (order, key) orders candidates totally and only the best of a set of duplicates counts, so what is kept depends on
    the set of candidates alone: not on batches, shards or restarts.
    """

    def __init__(self, rows: int, capacity: int, width: int) -> None:
        shape = (rows, capacity)
        self.capacity = capacity
        self.order = torch.full(shape, EMPTY, dtype=torch.int64)
        self.identity = torch.zeros(shape, dtype=torch.int64)
        self.key = torch.zeros(shape, dtype=torch.int64)
        self.window = torch.zeros(*shape, width)

    def floor(self) -> Tensor:
        """The order below which a candidate is refused, int64 [rows]; `EMPTY` while a row has room."""
        if self.capacity == 0:
            return torch.full((len(self.order),), torch.iinfo(torch.int64).max)
        return self.order[:, -1]

    def offer(self, new: Candidates) -> None:
        """Merge candidates in."""
        if len(new.row) == 0 or self.capacity == 0:
            return
        rows = torch.unique(new.row)
        pool = self._with_kept(rows, new)
        chosen, rank = _select(pool, self.capacity)
        target = pool.row[chosen]
        self.order[rows] = EMPTY
        self.order[target, rank] = pool.order[chosen]
        self.identity[target, rank] = pool.identity[chosen]
        self.key[target, rank] = pool.key[chosen]
        self.window[target, rank] = pool.window[chosen]

    def _with_kept(self, rows: Tensor, new: Candidates) -> Candidates:
        """The candidates together with what their rows already hold."""
        kept_row, slot = (self.order[rows] != EMPTY).nonzero(as_tuple=True)
        kept = (rows[kept_row], slot)
        return Candidates(
            torch.cat((kept[0], new.row)),
            torch.cat((self.order[kept], new.order)),
            torch.cat((self.identity[kept], new.identity)),
            torch.cat((self.key[kept], new.key)),
            torch.cat((self.window[kept], new.window)),
        )


def _select(pool: Candidates, capacity: int) -> tuple[Tensor, Tensor]:
    """Indices of the entries that stay, and the place of each within its row."""
    row, order, identity, key = (t.numpy() for t in (pool.row, pool.order, pool.identity, pool.key))
    grouped = np.lexsort((~key, ~order, identity, row))
    distinct = grouped[_first_of_group(row[grouped], identity[grouped])]
    ranked = distinct[np.lexsort((~key[distinct], ~order[distinct], row[distinct]))]
    opens = np.flatnonzero(_first_of_group(row[ranked]))
    rank = np.arange(len(ranked)) - np.repeat(opens, np.diff(np.append(opens, len(ranked))))
    kept = rank < capacity
    return torch.from_numpy(ranked[kept]), torch.from_numpy(rank[kept])


def _first_of_group(*columns: np.ndarray) -> np.ndarray:
    """True where a sorted table's entry differs from the one before in any column."""
    first = np.ones(len(columns[0]), dtype=np.bool_)
    first[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return first
