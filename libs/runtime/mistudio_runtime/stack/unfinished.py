"""What a stack that stops leaves to be done: asked of its gateway, told on the console, kept for `mistudio down`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc.aio

from mistudio import v1
from mistudio_runtime.processes.private_files import write_private_json
from mistudio_runtime.stack.health import LOCAL_CHANNEL

_CALL_SECONDS = 10.0
_PAGE = 1_000
_ACTIVE = (v1.JOB_STATE_RUNNING, v1.JOB_STATE_PAUSING, v1.JOB_STATE_CANCELLING)
_UNFINISHED = (*_ACTIVE, v1.JOB_STATE_QUEUED, v1.JOB_STATE_WAITING, v1.JOB_STATE_PAUSED)


@dataclass(frozen=True)
class JobName:
    """A job, as people tell it from others."""

    id: str
    kind: str


@dataclass(frozen=True)
class Unfinished:
    """Jobs that are not over when a stack has stopped. All but the paused ones go on when it is started again."""

    requeued: tuple[JobName, ...] = ()
    """They ran when the stop came."""
    queued: int = 0
    """Others that wait in their queues, or for other jobs."""
    paused: int = 0

    def __bool__(self) -> bool:
        """Tells whether there is anything."""
        return bool(self.requeued or self.queued or self.paused)

    def sentence(self) -> str:
        """Says it for people."""
        parts = [f"requeued {job.id} ({job.kind})" for job in self.requeued]
        parts += [f"{self.queued} more wait" if parts else f"{self.queued} wait"] if self.queued else []
        parts += [f"{self.paused} paused"] if self.paused else []
        return f"unfinished jobs: {', '.join(parts)}; `mistudio up` goes on with them"

    def write(self, home: Path, supervisor: int) -> None:
        """Keeps it for the command that asked for the stop; `supervisor` is the process id that it asked."""
        write_private_json(unfinished_path(home), {"pid": supervisor, **dataclasses.asdict(self)})


def unfinished_path(home: Path) -> Path:
    """Returns where the latest stop wrote it."""
    return home / "run" / "unfinished.json"


async def unfinished_jobs(address: str, since: datetime) -> Unfinished | None:
    """Asks a gateway what is left after a stop that began at `since`; None if it does not answer."""
    found: list[v1.Job] = []
    request = v1.ListJobsRequest(states=_UNFINISHED, page_size=_PAGE)
    try:
        async with grpc.aio.insecure_channel(address, options=LOCAL_CHANNEL) as channel:
            while True:
                answer = await v1.JobServiceStub(channel).ListJobs(request, timeout=_CALL_SECONDS)
                found += answer.jobs
                request.page_token = answer.next_page_token
                if not request.page_token:
                    return summarize(found, since)
    except grpc.aio.AioRpcError:
        return None


def summarize(jobs: Iterable[v1.Job], since: datetime) -> Unfinished:
    """Tells the jobs that a stop interrupted from those that only wait."""
    requeued, counts = [], Counter[str]()
    for job in jobs:
        if job.state == v1.JOB_STATE_PAUSED:
            counts["paused"] += 1
        elif _interrupted(job, since):
            requeued.append(JobName(job.id, job.kind))
        else:
            counts["queued"] += 1
    return Unfinished(tuple(requeued), counts["queued"], counts["paused"])


def _interrupted(job: v1.Job, since: datetime) -> bool:
    if job.state in _ACTIVE:  # its worker had to be killed: the next gateway finds the attempt lost
        return True
    return bool(job.attempts) and job.attempts[-1].end_time.ToDatetime(UTC) >= since
