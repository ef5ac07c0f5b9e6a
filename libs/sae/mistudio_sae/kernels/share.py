"""Shares the rows of a batch among threads."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch


def share(bounds: Sequence[int], loop: Callable[[slice], object]) -> None:
    """Call loop(slice) for each range between neighbours of `bounds`, side by side; re-raises what a loop raises."""
    first, *others = [slice(low, high) for low, high in itertools.pairwise(bounds) if low < high] or [slice(0, 0)]
    waiting = [_threads(torch.get_num_threads()).submit(loop, part) for part in others]
    loop(first)
    for each in waiting:
        each.result()


def evenly(rows: int) -> list[int]:
    """Return the bounds of as many equal ranges of `rows` as torch has threads."""
    threads = torch.get_num_threads()
    return [rows * number // threads for number in range(threads + 1)]


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="sparse-kernel")
