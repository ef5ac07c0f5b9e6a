"""Replays a job's events and follows it to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from mistudio import v1
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.jobs import Jobs
from mistudio_gateway.state_machine import is_terminal
from mistudio_runtime.errors import InvalidRequestError, Violation

_POLL_SECONDS = 1.0
_EVENTS = tuple(field.name for field in v1.JobEvent.DESCRIPTOR.oneofs_by_name["event"].fields)


async def watch(jobs: Jobs, events: EventLog, request: v1.WatchJobRequest) -> AsyncIterator[v1.JobEvent]:
    """Yields the events that are asked for until the job's terminal state has been told, or all that there are by now.

    The reader sets the pace: nothing is kept for it but a position. Raises InvalidRequestError, NotFoundError,
    UnavailableError.
    """
    wanted = _wanted(request.events)
    async for event in _watch(jobs, events, request.job_id, request.after_sequence, replay_only=request.replay_only):
        if event.WhichOneof("event") in wanted:
            yield event


def _wanted(names: Sequence[str]) -> frozenset[str]:
    if unknown := sorted(set(names) - set(_EVENTS)):
        raise InvalidRequestError([Violation("events", f"{', '.join(unknown)}: there are {', '.join(_EVENTS)}")])
    return frozenset(names or _EVENTS)


async def _watch(
    jobs: Jobs, events: EventLog, job_id: str, after_sequence: int, *, replay_only: bool
) -> AsyncIterator[v1.JobEvent]:
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
            else:
                if job.diagnosis not in ("", told):
                    yield v1.JobEvent(sequence=position, job_id=job_id, diagnosis=job.diagnosis, time=job.update_time)
                told = job.diagnosis
                if replay_only:
                    return
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
