"""A few things kept open, the ones used last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LeastRecentlyUsed(Generic[T]):
    """Makes things by key and keeps `capacity` of them; safe to use from threads, which never make one twice."""

    def __init__(self, capacity: int) -> None:
        """Takes how many to keep, at least one."""
        self._capacity = capacity
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], T]) -> T:
        """Returns what is kept under `key`, made now if need be; what `make` raises is not kept.

        What is dropped is left to the garbage collector, because another thread may still be using it.
        """
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
            self._kept.move_to_end(key)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
            return self._kept[key]
