"""Why a job does not run now, in one sentence with the command that helps. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from mistudio import v1
from mistudio_gateway.queues.pauses import Pause
from mistudio_gateway.state_machine import state_name
from mistudio_gateway.worker_registry import free_slots, slots_of
from mistudio_runtime.findings.text import counted, listed, span
from mistudio_runtime.queues import Queue

FindJob = Callable[[str], v1.Job | None]
_NUMBER = re.compile(r"\d+")

MOMENT = timedelta(seconds=3)
"""A job for which a slot is free, and that has waited less, is about to be pulled."""


@dataclass(frozen=True)
class Slots:
    """The slots for one queue."""

    total: int
    free_on: Sequence[str]
    """Workers that have free ones."""
    holders: str
    """The jobs that have the others, each with its worker, listed; the first few if they are many."""

    @classmethod
    def of(cls, queue: str, workers: Sequence[v1.WorkerStatus]) -> Self | None:
        """Takes the live workers that serve a queue and take new jobs; None without any."""
        if not workers:
            return None
        held = [
            f"{running.job_id} on {worker.worker.name}"
            for worker in workers
            for running in worker.running
            if running.queue == queue
        ]
        free_on = [worker.worker.name for worker in workers if free_slots(worker, queue)]
        return cls(sum(slots_of(worker, queue) for worker in workers), free_on, listed(held))


@dataclass(frozen=True)
class Surroundings:
    """What a queued job has around it."""

    queue: Queue
    pause: Pause | None
    """Of its queue."""
    slots: Slots | None
    """None if no worker serves the queue."""
    ahead: int
    """Jobs of the queue that go before it."""
    start: Callable[[], timedelta | None]
    """Returns the time until it starts, as jobs have gone lately; None if that is unknown."""
    device: str
    """Why it waits for a device, in a sentence with what helps; empty if it does not."""


def says_the_same(one: str, other: str) -> bool:
    """Tells whether two sentences differ in their numbers at most, as those of a job that moves up in its queue do."""
    return _NUMBER.sub("0", one) == _NUMBER.sub("0", other)


def unserved(queue: Queue) -> str:
    """Says that nobody serves a queue."""
    return f"No worker serves the queue {queue.name}: start one with `python -m mistudio_{queue.service}`."


def paused(queue: str, pause: Pause) -> str:
    """Says that a queue is paused."""
    return f"The queue {queue} is paused {pause.sentence}: `mistudio queues resume {queue}` lets its jobs run."


def unstarted(job: v1.Job, find_job: FindJob) -> str:
    """Returns why a job waits that is not in a queue; empty for one that is, that runs, or that is over."""
    if job.state == v1.JOB_STATE_WAITING:
        return _until(job, _waiting(job, find_job))
    if job.state == v1.JOB_STATE_PAUSED:
        return f"Paused by request: `mistudio jobs resume {job.id}` puts it back into its queue."
    return ""


def queued(job: v1.Job, around: Surroundings, now: datetime) -> str:
    """Returns why a queued job does not run yet; empty if it is about to."""
    return _until(job, _why(job, around, now))


def _why(job: v1.Job, around: Surroundings, now: datetime) -> str:
    if around.pause:
        return paused(around.queue.name, around.pause)
    if around.slots is None:
        return unserved(around.queue)
    if job.HasField("not_before") and (left := job.not_before.ToDatetime(UTC) - now) > timedelta(0):
        return _backs_off(job, left)
    if around.device:
        return around.device
    return _about_to_start(job, around, around.slots, now) if around.slots.free_on else _taken(around, around.slots)


def _waiting(job: v1.Job, find_job: FindJob) -> str:
    parents = [find_job(parent) for parent in job.depends_on]
    unfinished = [parent for parent in parents if parent and parent.state != v1.JOB_STATE_SUCCEEDED]
    if not unfinished:
        return "Its dependencies are done; it is about to be queued."
    names = listed([f"{parent.id} ({parent.kind}, {state_name(parent.state)})" for parent in unfinished])
    first = next((parent for parent in unfinished if parent.state != v1.JOB_STATE_RUNNING), unfinished[0])
    if first.state == v1.JOB_STATE_RUNNING:
        return f"Waits for {names}: `mistudio jobs watch {first.id}` follows it."
    return f"Waits for {names}: `mistudio jobs get {first.id}` says why that does not run."


def _backs_off(job: v1.Job, left: timedelta) -> str:
    why = job.attempts[-1].failure.message if job.attempts else "a failure"
    return (
        f"Waits {left.total_seconds():.0f} s before attempt {len(job.attempts) + 1}, because the last one failed: "
        f"{why} (`mistudio jobs logs {job.id}` has its log)."
    )


def _taken(around: Surroundings, slots: Slots) -> str:
    one = slots.total == 1
    taken = "The one slot for the queue {} is" if one else f"All {slots.total} slots for the queue {{}} are"
    return (
        f"{taken.format(around.queue.name)} taken (by {slots.holders}); {_line(around)}: "
        f"`python -m mistudio_{around.queue.service}` starts one more worker."
    )


def _about_to_start(job: v1.Job, around: Surroundings, slots: Slots, now: datetime) -> str:
    waited = now - job.update_time.ToDatetime(UTC)
    if waited < MOMENT:
        return ""
    return f"A slot is free on {listed(slots.free_on)}; {_line(around)}: `mistudio doctor` says more if it stays so."


def _line(around: Surroundings) -> str:
    """Returns how many go before it, and when it starts."""
    before = (
        f"{counted(around.ahead, 'job')} {'goes' if around.ahead == 1 else 'go'} before it, " if around.ahead else ""
    )
    return f"{before}it starts {_when(around.start())}"


def _when(start: timedelta | None) -> str:
    if start is None:
        return "when a slot is free"
    return "in a moment" if start < MOMENT else f"in about {span(start.total_seconds())}"


def _until(job: v1.Job, sentence: str) -> str:
    """Adds when the job fails if it has not begun."""
    if not sentence or not job.HasField("start_deadline"):
        return sentence
    deadline = job.start_deadline.ToDatetime(UTC)
    return f"{sentence.removesuffix('.')}; it fails at {deadline:%Y-%m-%d %H:%M:%S} UTC if it has not begun by then."
