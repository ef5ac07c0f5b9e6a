"""What a gateway says of the mesh at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mistudio import errors, v1
from mistudio.aio.client import AsyncClient
from mistudio.states import JobState

CALL_SECONDS = 2.0
"""A call that takes longer has failed: nobody looks at an old screen."""
ACTIVE = (JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING)
WAITING = (JobState.QUEUED, JobState.WAITING, JobState.PAUSED)
ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
MOST = 200
"""Jobs of a group at most."""


@dataclass(frozen=True)
class Snapshot:
    """Queues, workers, schedules and jobs."""

    queues: Sequence[v1.Queue] = ()
    workers: Sequence[v1.WorkerStatus] = ()
    schedules: Sequence[v1.Schedule] = ()
    active: Sequence[v1.Job] = ()
    """Jobs that run, the most advanced first."""
    waiting: Sequence[v1.Job] = ()
    """Jobs that wait, the newest first."""
    ended: Sequence[v1.Job] = ()
    """Jobs that are over, the newest first."""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it was taken, by this machine's clock."""

    @property
    def queued(self) -> int:
        """Jobs in queues; there may be more than are listed."""
        return sum(queue.queued for queue in self.queues)

    @property
    def running(self) -> int:
        """Jobs that run."""
        return sum(queue.running for queue in self.queues)

    @property
    def unfinished(self) -> list[v1.Job]:
        """The jobs that run, then those that wait."""
        return [*self.active, *self.waiting]


async def read_snapshot(client: AsyncClient) -> Snapshot:
    """Asks a gateway for everything at once. Raises MistudioError."""
    queues, workers, schedules, active, waiting, ended = await asyncio.gather(
        client.queues.list(timeout=CALL_SECONDS),
        client.workers.list(timeout=CALL_SECONDS),
        _schedules(client),
        _jobs(client, ACTIVE),
        _jobs(client, WAITING),
        _jobs(client, ENDED),
    )
    return Snapshot(queues, workers, schedules, sorted(active, key=_advance), waiting, ended)


async def _schedules(client: AsyncClient) -> Sequence[v1.Schedule]:
    try:
        return await client.schedules.list(timeout=CALL_SECONDS)
    except (errors.FailedPreconditionError, errors.UnimplementedError):  # an old broker, or an old gateway
        return ()


async def _jobs(client: AsyncClient, states: Sequence[JobState]) -> list[v1.Job]:
    found: list[v1.Job] = []
    async for job in client.jobs.list(states=states, page_size=MOST, timeout=CALL_SECONDS):
        found.append(job.proto)
        if len(found) == MOST:  # one page is what a screen can show
            break
    return found


def _advance(job: v1.Job) -> tuple[int, int]:
    # In tenths, so that two jobs side by side do not change places all the time.
    return -int(job.progress.fraction * 10), job.start_time.ToNanoseconds()
