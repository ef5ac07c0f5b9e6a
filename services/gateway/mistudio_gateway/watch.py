"""Replays a job's events and follows it to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from mistudio import v1
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.jobs import Jobs
from mistudio_gateway.state_machine import is_terminal

_POLL_SECONDS = 1.0


async def watch(jobs: Jobs, events: EventLog, job_id: str, after_sequence: int) -> AsyncIterator[v1.JobEvent]:
    """Yields the job's events after a position until its terminal state has been told.

    The reader sets the pace: nothing is kept for it but a position. Raises NotFoundError, UnavailableError.
    """
    await jobs.get(job_id)
    position, told = after_sequence, ""
    with events.listen(job_id) as news:
        while True:
            news.clear()
            async for event in events.read(job_id, position):
                position = event.sequence
                yield event
                if _is_last(event, await jobs.get(job_id) if is_terminal(event.job) else None):
                    return
            job = await jobs.get(job_id)
            if is_terminal(job):
                # Its event comes in a moment, unless the gateway that wrote the record ended before it could tell.
                if told == "terminal":
                    yield _snapshot(job, position)
                    return
                told = "terminal"
            elif job.diagnosis != told:
                told = job.diagnosis
                if told:
                    yield v1.JobEvent(sequence=position, job_id=job_id, diagnosis=told, time=job.update_time)
            await _wait(news)


def _is_last(event: v1.JobEvent, now: v1.Job | None) -> bool:
    # A retried job has terminal events in its past.
    return now is not None and is_terminal(now) and now.enqueue_count == event.job.enqueue_count


def _snapshot(job: v1.Job, position: int) -> v1.JobEvent:
    return v1.JobEvent(sequence=position, job_id=job.id, job=job, time=job.update_time)


async def _wait(news: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_POLL_SECONDS):
            await news.wait()
