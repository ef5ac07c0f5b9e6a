"""Which workers there are, and whether they are heard of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from mistudio import v1
from mistudio_gateway.checks.queues import ALL_QUEUES
from mistudio_runtime.findings import Finding, fine, problem, warning
from mistudio_runtime.findings.text import counted, listed, span

CHECK = "workers"
SILENT_PART = 0.75
"""Of ack_wait: three heartbeats in a row were missed."""


def check_workers(workers: Sequence[v1.WorkerStatus], ack_wait_seconds: float, now: datetime) -> list[Finding]:
    """Judges the workers that are attached to any gateway."""
    if not workers:
        return [problem(CHECK, "No worker is attached, so no job runs.", ALL_QUEUES)]
    silent = [status for status in workers if _silence(status, now) > SILENT_PART * ack_wait_seconds]
    return [_silent(status, now) for status in silent] or [fine(CHECK, _sentence(workers))]


def _silence(status: v1.WorkerStatus, now: datetime) -> float:
    return (now - status.last_seen_time.ToDatetime(UTC)).total_seconds()


def _silent(status: v1.WorkerStatus, now: datetime) -> Finding:
    services = status.worker.services
    process = services[0] if len(services) == 1 else "worker"  # as a stack names it
    since = span(_silence(status, now))
    sentence = f"{status.worker.name} was last heard of {since} ago: its jobs run elsewhere if it stays silent."
    return warning(CHECK, sentence, f"mistudio logs {process}")


def _sentence(workers: Sequence[v1.WorkerStatus]) -> str:
    running = sum(len(status.running) for status in workers)
    names = listed([status.worker.name for status in workers])
    sentence = f"{counted(len(workers), 'worker')} ({names}) with {counted(running, 'running job')}"
    if draining := [status.worker.name for status in workers if status.draining]:
        return f"{sentence}; {listed(draining)} takes no new jobs, because it drains."
    return f"{sentence}."
