"""Values that are too slow to look up where they are needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

_FIRST_SECONDS = 0.3
T = TypeVar("T")


class Sampler(Generic[T]):
    """Keeps a sample a few seconds old at most, taken by a thread: a network disk may hang, a heartbeat may not."""

    def __init__(self, name: str, take: Callable[[], T], first: T, seconds: float) -> None:
        """Takes what is told until there is a sample, and how old one may be, in seconds."""
        self._name = name
        self._take = take
        self._sample = first
        self._seconds = seconds
        self._asked = float("-inf")
        self._thread: threading.Thread | None = None

    def latest(self) -> T:
        """Returns the latest sample. The first call waits a moment for one, the others never."""
        if time.monotonic() - self._asked > self._seconds:
            self._refresh()
        return self._sample

    def _refresh(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        first, self._asked = self._thread is None, time.monotonic()
        self._thread = threading.Thread(target=self._look, name=self._name, daemon=True)
        self._thread.start()
        if first:
            self._thread.join(_FIRST_SECONDS)

    def _look(self) -> None:
        try:
            self._sample = self._take()
        except Exception:  # the boundary of a thread: heartbeats go on with the sample before
            log.exception("a sample cannot be taken", sampler=self._name)
