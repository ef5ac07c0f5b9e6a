"""How many jobs have ended since somebody looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from mistudio import v1
from mistudio.states import JobState

_CLOCKS_DIFFER = timedelta(seconds=1)


class Tally:
    """Counts ends of jobs, each once."""

    def __init__(self, since: datetime) -> None:
        """Takes from when on ends count."""
        self.since = since
        self.counts: Counter[JobState] = Counter()
        self._seen: set[tuple[str, int]] = set()
        self._unfinished: set[str] = set()

    def take(self, unfinished: Iterable[v1.Job], ended: Iterable[v1.Job]) -> set[str]:
        """Takes note of the jobs at one moment; returns those that have vanished from the lists without an end."""
        ended = list(ended)
        for job in ended:
            self.end(job)
        now = {job.id for job in unfinished}
        vanished = self._unfinished - now - {job.id for job in ended}
        self._unfinished = now
        return vanished

    def end(self, job: v1.Job) -> None:
        """Counts a job if it has ended since, and was not counted: it may end again after a retry."""
        key = job.id, job.end_time.ToNanoseconds()
        if job.end_time.ToDatetime(UTC) >= self.since - _CLOCKS_DIFFER and key not in self._seen:
            self.counts[JobState.of(job)] += 1
            self._seen.add(key)
