"""How many jobs may wait in a queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

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

    def __init__(self, table: QueueTable, standings: Standings) -> None:
        """Takes the limits and what is there."""
        self._table = table
        self._standings = standings
        self._coming: Counter[str] = Counter()

    def check(self, queue: str, count: int = 1) -> None:
        """Raises ExhaustedError if `count` more jobs do not fit, with when they may."""
        row = self._table.queue(queue)
        if not row.max_queued:
            return
        standing = self._standings.of(queue)
        there = standing.stock + self._coming[queue]
        if there + count > row.max_queued:
            raise self._full(row, there, count)

    @contextmanager
    def room(self, queue: str, count: int = 1) -> Iterator[None]:
        """Checks, and keeps the places while the block records the jobs. Raises ExhaustedError."""
        self.check(queue, count)
        self._coming[queue] += count
        try:
            yield
        finally:
            self._coming[queue] -= count

    def _full(self, row: Queue, there: int, count: int) -> ExhaustedError:
        asked = "one more" if count == 1 else f"{count} more"
        helps = "try again when some have run" if count <= row.max_queued else "submit fewer at a time"
        return ExhaustedError(
            f"the queue {row.name} is full: {there} jobs wait, {asked} would be too many, and its limit is "
            f"{row.max_queued} (max_queued in the queue table); {helps}",
            retry_after=self._retry_after(row.name, there + count - row.max_queued),
            metadata={"queue": row.name, "max_queued": str(row.max_queued), "queued": str(there)},
        )

    def _retry_after(self, queue: str, too_many: int) -> timedelta:
        rate = self._standings.rate.per_minute(queue, utc_now().timestamp())
        if not rate:
            return _UNKNOWN
        return min(_LONGEST, max(_SHORTEST, timedelta(minutes=min(too_many / rate, 60.0))))
