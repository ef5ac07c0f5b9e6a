"""Queues that nobody serves, and jobs that wait although they need not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mistudio import v1
from mistudio_gateway.queues.pauses import Pause, Pauses
from mistudio_gateway.worker_registry import free_slots, serves
from mistudio_runtime.findings import Finding, fine, problem, warning
from mistudio_runtime.findings.text import counted, listed, span
from mistudio_runtime.queues import Queue, QueueTable

CHECK = "queues"
SETTLED_SECONDS = 90.0
"""A job that waits longer has outlived a lost message: a gateway puts it back once a minute."""
ALL_QUEUES = "python -m mistudio_runtime.worker --services all"


@dataclass(frozen=True)
class Waiting:
    """The jobs of one queue that could run now, and who could run them."""

    queue: Queue
    jobs: tuple[v1.Job, ...]
    """QUEUED and not backing off, oldest first."""
    workers: tuple[v1.WorkerStatus, ...]
    """That serve the queue and take new jobs."""
    pause: Pause | None = None
    """Why none of its jobs may begin."""
    without_device: frozenset[str] = frozenset()
    """Of the jobs, those that wait for a device that others hold: a free slot does not help them."""

    def oldest_seconds(self, now: datetime) -> float:
        """Returns how long the oldest has waited; 0 if none waits."""
        return max((_waited(job, now) for job in self.jobs), default=0.0)

    def stuck(self, now: datetime) -> frozenset[str]:
        """Returns the jobs that have waited for long although there is a free slot."""
        if self.pause or not any(free_slots(worker, self.queue.name) for worker in self.workers):
            return frozenset()
        return frozenset(job.id for job in self.jobs if _waited(job, now) > SETTLED_SECONDS) - self.without_device


def waiting_by_queue(
    table: QueueTable,
    jobs: Iterable[v1.Job],
    workers: Sequence[v1.WorkerStatus],
    now: datetime,
    *,
    pauses: Pauses,
    waits_for_device: Callable[[v1.Job], str],
) -> list[Waiting]:
    """Sorts jobs and workers by queue, in the order of the table."""
    ready = sorted((job for job in jobs if _ready(job, now)), key=lambda job: job.update_time.ToNanoseconds())
    by_queue: dict[str, list[v1.Job]] = {}
    for job in ready:
        by_queue.setdefault(job.queue, []).append(job)
    return [
        Waiting(
            row,
            tuple(by_queue.get(row.name, ())),
            tuple(status for status in workers if not status.draining and serves(status, row.name)),
            pauses.get(row.name),
            frozenset(job.id for job in by_queue.get(row.name, ()) if waits_for_device(job)),
        )
        for row in table.queues
    ]


def check_queues(found: Sequence[Waiting], stuck: frozenset[str], now: datetime) -> list[Finding]:
    """Judges the queues; `stuck` are the jobs that were stuck at a second look, too."""
    unserved = [waiting for waiting in found if not waiting.workers]
    findings = _unserved(unserved, everything=len(unserved) == len(found))
    findings += [_paused(waiting, waiting.pause) for waiting in found if waiting.pause]
    findings += [_stuck(waiting, ids) for waiting in found if (ids := waiting.stuck(now) & stuck)]
    return findings or [fine(CHECK, _sentence(found, now))]


def check_messages(found: Sequence[Waiting], messages: Mapping[str, int], now: datetime) -> list[Finding]:
    """Compares jobs that wait for long with the messages that the broker has, by consumer."""
    by_queue: dict[str, int] = {}
    for consumer, count in messages.items():
        queue = consumer.rpartition("-p")[0]
        by_queue[queue] = by_queue.get(queue, 0) + count
    return [
        _lost(waiting, by_queue[waiting.queue.name], settled)
        for waiting in found
        if waiting.queue.name in by_queue
        and (settled := sum(_waited(job, now) > SETTLED_SECONDS for job in waiting.jobs)) > by_queue[waiting.queue.name]
    ]


def _unserved(found: Sequence[Waiting], *, everything: bool) -> list[Finding]:
    if everything:
        jobs = sum(len(waiting.jobs) for waiting in found)
        return [_nobody("any queue", jobs, ALL_QUEUES)]
    services = dict.fromkeys(waiting.queue.service for waiting in found)
    return [_unserved_by(service, [one for one in found if one.queue.service == service]) for service in services]


def _unserved_by(service: str, found: Sequence[Waiting]) -> Finding:
    names = listed([waiting.queue.name for waiting in found])
    queues = f"the {'queue' if len(found) == 1 else 'queues'} {names}"
    return _nobody(queues, sum(len(waiting.jobs) for waiting in found), f"python -m mistudio_{service}")


def _nobody(queues: str, jobs: int, command: str) -> Finding:
    if not jobs:
        return warning(CHECK, f"No worker serves {queues}.", command)
    waits = f"{counted(jobs, 'job')} {'waits' if jobs == 1 else 'wait'}"
    return problem(CHECK, f"No worker serves {queues}, and {waits} for one.", command)


def _paused(waiting: Waiting, pause: Pause) -> Finding:
    name, jobs = waiting.queue.name, len(waiting.jobs)
    waits = f", and {counted(jobs, 'job')} {'waits' if jobs == 1 else 'wait'}" if jobs else ""
    return warning(CHECK, f"The queue {name} is paused {pause.sentence}{waits}.", f"mistudio queues resume {name}")


def _stuck(waiting: Waiting, ids: frozenset[str]) -> Finding:
    free = [one.worker.name for one in waiting.workers if free_slots(one, waiting.queue.name)]
    first = next(job.id for job in waiting.jobs if job.id in ids)
    waits = f"{counted(len(ids), 'job')} of the queue {waiting.queue.name} {'waits' if len(ids) == 1 else 'wait'}"
    return warning(CHECK, f"{waits} although {listed(free)} has a free slot.", f"mistudio jobs get {first}")


def _lost(waiting: Waiting, messages: int, settled: int) -> Finding:
    sentence = (
        f"{counted(settled, 'job')} of the queue {waiting.queue.name} should have a message, but the broker has "
        f"{messages}: a gateway puts back what is missing within a minute."
    )
    return warning(CHECK, sentence, f"mistudio jobs list --state queued --queue {waiting.queue.name}")


def _sentence(found: Sequence[Waiting], now: datetime) -> str:
    jobs = sum(len(waiting.jobs) for waiting in found)
    if not jobs:
        return f"All {len(found)} queues are served, and no job waits."
    oldest = max(found, key=lambda waiting: waiting.oldest_seconds(now))
    since = f"the oldest for {span(oldest.oldest_seconds(now))} in {oldest.queue.name}"
    waits = f"{counted(jobs, 'job')} {'waits' if jobs == 1 else 'wait'}"
    return f"All {len(found)} queues are served; {waits} for a slot, {since}."


def _ready(job: v1.Job, now: datetime) -> bool:
    return job.state == v1.JOB_STATE_QUEUED and not (
        job.HasField("not_before") and job.not_before.ToDatetime(UTC) > now
    )


def _waited(job: v1.Job, now: datetime) -> float:
    since = max(job.update_time.ToDatetime(UTC), job.not_before.ToDatetime(UTC))
    return max(0.0, (now - since).total_seconds())
