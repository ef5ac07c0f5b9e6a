"""The newest events of one job, which all of its watchers in this gateway share."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice

from mistudio import v1
from mistudio_gateway.stored_event import StoredEvent
from mistudio_runtime.errors import MeshError

TAIL_EVENTS = 1_000
TAIL_BYTES = 1024 * 1024
_AT_ONCE = 64
"""Events that a watcher is given at once: what it may hold that does not read."""


class EventFeed:
    """The tail of a job's events: everything after `base`. Whoever is further behind reads from the broker."""

    def __init__(self, job_id: str) -> None:
        """Begins empty; `begin` makes it usable."""
        self.job_id = job_id
        self.base = 0
        """Position after which the tail lacks nothing."""
        self.news = asyncio.Event()
        """Set, and replaced by a new one, when anything here has changed."""
        self.job: v1.Job | None = None
        """The job as its last change of state in the tail left it."""
        self.diagnosis = ""
        """Why the job does not run now."""
        self.ended: v1.Job | None = None
        """The job, if it is over and the event that tells so is missing for longer than it may take."""
        self.failure: MeshError | None = None
        """Why it cannot be watched any more."""
        self._tail: deque[StoredEvent] = deque()
        self._bytes = 0

    def begin(self, base: int) -> None:
        """Takes the position of the last event that was stored when the tail had begun."""
        self.base = max(self.base, base)
        while self._tail and self._tail[0].sequence <= self.base:
            self._drop_first()

    def take(self, event: StoredEvent) -> None:
        """Appends a new event, and drops the oldest ones if there are too many."""
        if event.sequence <= self.base:
            return
        self._tail.append(event)
        self._bytes += len(event.response)
        while len(self._tail) > TAIL_EVENTS or self._bytes > TAIL_BYTES:
            self.base = self._drop_first()
        self.tell()

    def after(self, position: int) -> list[StoredEvent]:
        """Returns the next events after a position that is not before `base`: a few, and none if there are none yet."""
        new = 0
        for event in reversed(self._tail):
            if event.sequence <= position:
                break
            new += 1
        first = len(self._tail) - new
        return list(islice(self._tail, first, first + _AT_ONCE))

    def tell(self) -> None:
        """Wakes the watchers."""
        self.news.set()
        self.news = asyncio.Event()

    def _drop_first(self) -> int:
        event = self._tail.popleft()
        self._bytes -= len(event.response)
        return event.sequence
