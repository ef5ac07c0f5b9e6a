"""The feeds of the jobs that are watched through this gateway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from nats.aio.client import Client

from mistudio import v1
from mistudio_gateway.broker_errors import NO_ANSWER, broker_answers
from mistudio_gateway.event_feed import EventFeed
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.event_tap import EventTap
from mistudio_gateway.ledger import Ledger
from mistudio_gateway.state_machine import ACTIVE, is_terminal
from mistudio_gateway.stored_event import End, StoredEvent, end_of
from mistudio_runtime.errors import MeshError, NotFoundError
from mistudio_runtime.tasks import end_tasks

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
_LINGER_LOOKS = 30
"""So many looks without a watcher end the tap."""


@dataclass
class _Watched:
    """A feed, who makes it ready, and how many watch it."""

    feed: EventFeed
    ready: asyncio.Task[None]
    watchers: int = 0
    end: End | None = None
    """How the job ended, as the look before saw it."""


class EventFeeds:
    """One feed for each watched job, all fed by one tap, and looked after by one task."""

    def __init__(self, client: Client, log: EventLog, ledger: Ledger, diagnose: Callable[[v1.Job], str]) -> None:
        """Takes where positions are asked for, how jobs stand, and what says why one does not run."""
        self.diagnose = diagnose
        self._log = log
        self._ledger = ledger
        self._watched: dict[str, _Watched] = {}
        self._tap = EventTap(client, self._watched.__contains__, self._hear)
        self._opening = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._idle_looks = 0

    @asynccontextmanager
    async def watched(self, job_id: str) -> AsyncIterator[EventFeed]:
        """Gives the job's feed for as long as the block takes. Raises NotFoundError, UnavailableError."""
        watched = self._watched.get(job_id)
        if watched is None:
            feed = EventFeed(job_id)
            watched = self._watched[job_id] = _Watched(feed, asyncio.create_task(self._make_ready(feed)))
            watched.ready.add_done_callback(_look_at_exception)
        watched.watchers += 1
        try:
            await asyncio.shield(watched.ready)
            yield watched.feed
        finally:
            watched.watchers -= 1
            if not watched.watchers and self._watched.get(job_id) is watched:
                del self._watched[job_id]

    async def stop(self) -> None:
        """Ends looking and listening."""
        await end_tasks(self._looking)
        await self._tap.close()

    async def _make_ready(self, feed: EventFeed) -> None:
        with broker_answers():
            async with self._opening:
                await self._tap.open()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_for_ever())
        feed.begin(await self._log.last_sequence(feed.job_id))
        if watched := self._watched.get(feed.job_id):
            await self._look(watched)

    def _hear(self, job_id: str, event: StoredEvent) -> None:
        feed = self._watched[job_id].feed
        if event.job is not None:
            feed.job, feed.diagnosis = event.job, self._why(event.job)
        feed.take(event)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._look_at_all()
            except NO_ANSWER:
                log.warning("events cannot be heard; trying again")
            except Exception:  # the boundary of one look: the next one may do better
                log.exception("watched jobs cannot be looked at")

    async def _look_at_all(self) -> None:
        self._idle_looks = 0 if self._watched else self._idle_looks + 1
        async with self._opening:
            if self._idle_looks == _LINGER_LOOKS:
                await self._tap.close()
            elif self._watched:
                await self._tap.open()
                await self._tap.check()
        for watched in list(self._watched.values()):
            if watched.ready.done():
                with contextlib.suppress(MeshError):  # no answer: the next look asks again
                    await self._look(watched)

    async def _look(self, watched: _Watched) -> None:
        """Finds out what no event tells: that a job waits, that its last event got lost, that it was deleted."""
        feed = watched.feed
        job = _newer(self._ledger.mirrored(feed.job_id), feed.job) or await self._read(feed)
        if job is None:
            return
        before = feed.diagnosis, feed.ended
        feed.diagnosis, end = self._why(job), end_of(job)
        # Its event comes in a moment, unless the gateway that wrote the record ended before it could tell.
        feed.ended = job if end is not None and end == watched.end else None
        watched.end = end
        if before != (feed.diagnosis, feed.ended):
            feed.tell()

    async def _read(self, feed: EventFeed) -> v1.Job | None:
        try:
            return await self._ledger.get(feed.job_id)
        except NotFoundError as error:
            feed.failure = error
            feed.tell()
            return None

    def _why(self, job: v1.Job) -> str:
        return "" if job.state in ACTIVE or is_terminal(job) else self.diagnose(job)


def _newer(mirrored: v1.Job | None, told: v1.Job | None) -> v1.Job | None:
    # The mirror may be behind an event that another gateway wrote, and the events behind the mirror.
    if mirrored is None or told is None:
        return mirrored
    return told if told.update_time.ToNanoseconds() > mirrored.update_time.ToNanoseconds() else mirrored


def _look_at_exception(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # who waits for it raises it; perhaps nobody does any more
