"""Replays a job's events and follows it to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from mistudio import v1
from mistudio_gateway.diagnosis import says_the_same
from mistudio_gateway.event_feed import EventFeed
from mistudio_gateway.event_feeds import EventFeeds
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.ledger import Ledger
from mistudio_gateway.state_machine import is_terminal
from mistudio_gateway.stored_event import StoredEvent, end_of, response_of
from mistudio_runtime.errors import InvalidRequestError, NotFoundError, Violation

_REPLICA_SECONDS = 0.1
"""A replica of the stream that answers before it has everything gets so long to catch up."""
_EVENTS = tuple(field.name for field in v1.JobEvent.DESCRIPTOR.oneofs_by_name["event"].fields)


class Watches:
    """Makes watches of jobs."""

    def __init__(self, ledger: Ledger, events: EventLog, feeds: EventFeeds) -> None:
        """Takes where jobs and their events are."""
        self.ledger = ledger
        self.events = events
        self.feeds = feeds

    async def watch(self, request: v1.WatchJobRequest) -> AsyncGenerator[bytes, None]:
        """Yields serialized WatchJobResponses until the job's terminal state was told, or all that there are by now.

        The reader sets the pace: nothing is kept for it but a position. Raises InvalidRequestError, NotFoundError,
        UnavailableError.
        """
        wanted = _wanted(request.events)
        watch = _Watch(self, request.job_id, request.after_sequence)
        async for event in watch.events(replay_only=request.replay_only):
            if event.kind in wanted:
                yield event.response


def _wanted(names: Sequence[str]) -> frozenset[str]:
    if unknown := sorted(set(names) - set(_EVENTS)):
        raise InvalidRequestError([Violation("events", f"{', '.join(unknown)}: there are {', '.join(_EVENTS)}")])
    return frozenset(names or _EVENTS)


class _Watch:
    """One reader's position."""

    def __init__(self, watches: Watches, job_id: str, after_sequence: int) -> None:
        self._to = watches
        self._job_id = job_id
        self._position = after_sequence
        self._over = False
        self._told = ""

    async def events(self, *, replay_only: bool) -> AsyncGenerator[StoredEvent, None]:
        """Yields what is to be told."""
        job = self._to.ledger.mirrored(self._job_id) or await self._to.ledger.get(self._job_id)
        if replay_only:
            await self._to.ledger.told(self._job_id)
        if replay_only or is_terminal(job):
            async for event in self._history():
                yield event
            if self._over:
                return
            job = await self._to.ledger.get(self._job_id)
            if replay_only and not is_terminal(job):
                for event in self._diagnosis(self._to.feeds.diagnose(job)):
                    yield event
                return
        async with self._to.feeds.watched(self._job_id) as feed:
            while not self._over:
                async for event in self._step(feed):
                    yield event

    async def _step(self, feed: EventFeed) -> AsyncGenerator[StoredEvent, None]:
        """Yields what there is now; if that is nothing, waits for news."""
        news = feed.news
        if feed.failure is not None:
            raise feed.failure
        if self._position < feed.base:
            async for event in self._history():
                yield event
            await self._catch_up(feed)
        elif events := feed.after(self._position):
            for event in events:
                yield event
                await self._pass(event)
        else:
            for event in self._diagnosis(feed.diagnosis):
                yield event
            if feed.ended is not None:
                async for event in self._without_its_event(feed.ended):
                    yield event
            else:
                await news.wait()

    async def _history(self) -> AsyncGenerator[StoredEvent, None]:
        """Yields what the broker has after the position."""
        async for event in self._to.events.read(self._job_id, self._position):
            yield event
            await self._pass(event)
            if self._over:
                return

    async def _catch_up(self, feed: EventFeed) -> None:
        """Goes to where the feed begins, if there is nothing between: it may have been dropped by its age."""
        if self._over or self._position >= feed.base:
            return
        if await self._to.events.last_sequence(self._job_id) > self._position:
            await asyncio.sleep(_REPLICA_SECONDS)
        else:
            self._position = feed.base

    async def _pass(self, event: StoredEvent) -> None:
        self._position = event.sequence
        # A retried job has terminal events in its past.
        self._over = event.job is not None and is_terminal(event.job) and await self._is_end(event.job)

    async def _is_end(self, told: v1.Job) -> bool:
        job = self._to.ledger.mirrored(self._job_id)
        if job is not None and job.enqueue_count > told.enqueue_count:
            return False
        if job is None or end_of(job) != end_of(told):  # the mirror may be behind
            try:
                job = await self._to.ledger.get(self._job_id)
            except NotFoundError:
                return True
        return end_of(job) == end_of(told)

    def _diagnosis(self, diagnosis: str) -> list[StoredEvent]:
        told, self._told = self._told, diagnosis
        if not diagnosis or says_the_same(diagnosis, told):  # that a job moves up in its queue is no event
            return []
        event = v1.JobEvent(sequence=self._position, job_id=self._job_id, diagnosis=diagnosis)
        event.time.GetCurrentTime()
        return [StoredEvent(self._position, "diagnosis", response_of(event))]

    async def _without_its_event(self, job: v1.Job) -> AsyncGenerator[StoredEvent, None]:
        async for event in self._history():  # the feed may be late
            yield event
        if not self._over:
            self._over = True
            end = v1.JobEvent(sequence=self._position, job_id=job.id, job=job, time=job.update_time)
            yield StoredEvent(self._position, "job", response_of(end))
