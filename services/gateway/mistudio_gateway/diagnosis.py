"""Why a job does not run now, in one sentence with the command that helps. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from mistudio import v1
from mistudio_gateway.state_machine import state_name
from mistudio_gateway.worker_registry import free_slots
from mistudio_runtime.queues import Queue

FindJob = Callable[[str], v1.Job | None]


def unserved(queue: Queue) -> str:
    """Says that nobody serves a queue."""
    return f"No worker serves the queue {queue.name}: start one with `python -m mistudio_{queue.service}`."


def diagnose(job: v1.Job, queue: Queue, workers: Iterable[v1.WorkerStatus], find_job: FindJob, now: datetime) -> str:
    """Returns the sentence, or "" for a job that runs or is over.

    `workers` are the live ones that serve the job's queue.
    """
    if job.state == v1.JOB_STATE_WAITING:
        return _waiting(job, find_job)
    if job.state == v1.JOB_STATE_PAUSED:
        return f"Paused by request: `mistudio jobs resume {job.id}` puts it back into its queue."
    if job.state == v1.JOB_STATE_QUEUED:
        return _queued(job, queue, list(workers), now)
    return ""


def _waiting(job: v1.Job, find_job: FindJob) -> str:
    parents = [find_job(parent) for parent in job.depends_on]
    unfinished = [parent for parent in parents if parent and parent.state != v1.JOB_STATE_SUCCEEDED]
    listed = ", ".join(f"{parent.id} ({parent.kind}, {state_name(parent.state)})" for parent in unfinished)
    return f"Waits for {listed}." if listed else "Its dependencies are done; it is about to be queued."


def _queued(job: v1.Job, queue: Queue, workers: list[v1.WorkerStatus], now: datetime) -> str:
    if not workers:
        return unserved(queue)
    seconds = (job.not_before.ToDatetime(UTC) - now).total_seconds() if job.HasField("not_before") else 0
    if seconds > 0:
        why = job.attempts[-1].failure.message if job.attempts else "a failure"
        return f"Waits {seconds:.0f} s before attempt {len(job.attempts) + 1}, because the last one failed: {why}"
    if not any(free_slots(worker, queue.name) for worker in workers):
        names = ", ".join(worker.worker.name for worker in workers)
        return f"All slots for the queue {queue.name} are taken (on {names}); it runs when one is free."
    return ""
