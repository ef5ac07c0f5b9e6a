"""For how long the machine itself stood still: shared ones do, and leases of two seconds run out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_TICK_SECONDS = 0.02


@dataclass
class Standstill:
    """The longest time in which nothing ran."""

    longest: float = 0.0
    """In seconds."""


@contextmanager
def watched_machine() -> Iterator[Standstill]:
    """Yields what is measured while the block runs, by a thread that only looks at the clock."""
    found, over = Standstill(), threading.Event()

    def look() -> None:
        last = time.monotonic()
        while not over.wait(_TICK_SECONDS):
            now = time.monotonic()
            found.longest, last = max(found.longest, now - last), now

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
