"""How much memory a job may take, who says so, and what is said when it takes more."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from mistudio import v1
from mistudio_runtime.jobs import Handler
from mistudio_runtime.queues import Queue

log = structlog.get_logger(__name__)

MEMORY_LIMIT = "MEMORY_LIMIT"
Fitting = Callable[[Any, int, int], Mapping[str, object]]


@dataclass(frozen=True)
class MemoryLimit:
    """The resident memory that a job's process may take, with all that it starts."""

    bytes: int
    said_by: str
    """Whose limit it is, e.g. "its queue"."""
    setting: str
    """Where it can be raised."""


def memory_limit(of_worker: int | None, queue: Queue) -> MemoryLimit | None:
    """Returns the limit of a queue's jobs: the worker's own if it has one, else the queue table's, if that has one."""
    if of_worker:
        return MemoryLimit(of_worker, "its worker", "--memory-limit")
    if queue.memory_limit_bytes:
        return MemoryLimit(queue.memory_limit_bytes, "its queue", f"memory_limit_kb of {queue.name} in the queue table")
    return None


def memory_failure(handler: Handler, job: v1.Job, used: int, limit: MemoryLimit) -> v1.Failure:
    """Returns how a job ends that took `used` bytes, with the values of its spec that would fit."""
    advice = _advice(handler, job, used, limit.bytes)
    took = f"the job took {used / 1e9:.1f} GB of memory and {limit.said_by} allows {limit.bytes / 1e9:.1f} GB"
    if advice:
        changes = " ".join(f"--set {field}={value}" for field, value in sorted(advice.items()))
        helps = f"it would fit with `mistudio jobs retry {job.id} {changes}`, or raise {limit.setting}"
    else:
        helps = f"ask for less at a time, or raise {limit.setting}"
    return v1.Failure(
        reason=MEMORY_LIMIT,
        message=f"{took}: {helps}",
        failure_class=v1.FAILURE_CLASS_PERMANENT,
        advice=advice,
    )


def _advice(handler: Handler, job: v1.Job, used: int, limit: int) -> dict[str, str]:
    if not handler.fitting:
        return {}
    module, _, name = handler.fitting.partition(":")
    try:
        fitting: Fitting = getattr(importlib.import_module(module), name)
        found = fitting(getattr(job.spec, job.kind), used, limit)
    except Exception:  # the boundary to a job kind: without advice the job has failed as well
        log.exception("no advice can be given", kind=job.kind)
        return {}
    return {f"{job.kind}.{field}": str(value) for field, value in found.items()}
