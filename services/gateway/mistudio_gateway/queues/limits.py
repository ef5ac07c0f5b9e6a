"""How many jobs may wait in a queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from mistudio import v1
from mistudio_gateway.ledger import utc_now
from mistudio_gateway.queues.standing import Standings
from mistudio_runtime.errors import ExhaustedError
from mistudio_runtime.queues import Queue, QueueTable

_SHORTEST, _LONGEST, _UNKNOWN = timedelta(seconds=1), timedelta(minutes=10), timedelta(seconds=10)


class QueueLimits:
    """Admits jobs up to `max_queued` of each queue.

    What other gateways have admitted in the last milliseconds is not known here: with several of them a queue may get
    a few more. On one gateway the limit is exact.
    """

    def __init__(
        self, table: QueueTable, standings: Standings, is_paused: Callable[[str], bool] = lambda _queue: False
    ) -> None:
        """Takes the limits, what is there, and what tells whether a queue is paused."""
        self._is_paused = is_paused
        self._table = table
        self._standings = standings
        self._coming: dict[str, set[str]] = {}

    def check(self, queue: str, count: int = 1) -> None:
        """Raises ExhaustedError if `count` more jobs do not fit, with when they may."""
        row = self._table.queue(queue)
        if not row.max_queued:
            return
        standing = self._standings.of(queue)
        there = standing.stock + self._not_yet_there(queue)
        if there + count > row.max_queued:
            raise self._full(row, there, count)

    @contextmanager
    def room(self, jobs: Iterable[v1.Job]) -> Iterator[None]:
        """Keeps places for new jobs while the block records them; one that is recorded already needs none.

        Raises ExhaustedError.
        """
        new = [job for job in jobs if not self._standings.knows(job.id)]
        for queue, count in Counter(job.queue for job in new).items():
            self.check(queue, count)
        for job in new:
            self._coming.setdefault(job.queue, set()).add(job.id)
        try:
            yield
        finally:
            for job in new:
                self._coming[job.queue].discard(job.id)

    def _not_yet_there(self, queue: str) -> int:
        return sum(not self._standings.knows(job_id) for job_id in self._coming.get(queue, ()))

    def _full(self, row: Queue, there: int, count: int) -> ExhaustedError:
        asked = "one more" if count == 1 else f"{count} more"
        helps = self._what_helps(row) if count <= row.max_queued else "submit fewer at a time"
        return ExhaustedError(
            f"the queue {row.name} is full: {there} jobs wait, {asked} would be too many, and its limit is "
            f"{row.max_queued} (max_queued in the queue table); {helps}",
            retry_after=self._retry_after(row.name, there + count - row.max_queued),
            metadata={"queue": row.name, "max_queued": str(row.max_queued), "queued": str(there)},
        )

    def _what_helps(self, row: Queue) -> str:
        if self._is_paused(row.name):
            return f"it is paused, and `mistudio queues resume {row.name}` lets its jobs run"
        return "`mistudio queues` shows how fast it empties"

    def _retry_after(self, queue: str, too_many: int) -> timedelta:
        if self._is_paused(queue):
            return _UNKNOWN
        rate = self._standings.rate.per_minute(queue, utc_now().timestamp())
        if not rate:
            return _UNKNOWN
        return min(_LONGEST, max(_SHORTEST, timedelta(minutes=min(too_many / rate, 60.0))))
