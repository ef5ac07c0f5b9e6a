"""The queue table: which queue a job kind goes to, who serves it, and with what limits."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

PRIORITIES = range(1, 11)
"""Job priorities; 10 is first."""


class QueueTableError(Exception):
    """The queue table is wrong; the message says where."""


@dataclass(frozen=True)
class Queue:
    """One row of the table."""

    name: str
    priority: int
    """Of its jobs unless they carry their own: 1 to 10, 10 first."""
    slots: int
    """Jobs that one worker runs at a time."""
    service: str
    job_kinds: tuple[str, ...]
    memory_limit_bytes: int | None = None
    """Resident memory that a job may take."""
    max_queued: int = 0
    """Jobs that may wait in it; one more is refused. 0 is no limit of its own."""


@dataclass(frozen=True)
class QueueTable:
    """All queues, in order, and the profiles."""

    queues: tuple[Queue, ...]
    profiles: dict[str, tuple[tuple[str, ...], ...]]
    """Profile name to worker processes, each a tuple of service names."""

    def queue(self, name: str) -> Queue:
        """Returns a queue. Raises KeyError."""
        return self._by_name.get(name) or _missing(name)

    @cached_property
    def _by_name(self) -> dict[str, Queue]:
        return {queue.name: queue for queue in self.queues}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Queue names, in order."""
        return tuple(queue.name for queue in self.queues)

    @property
    def services(self) -> tuple[str, ...]:
        """Service names, each once, in order."""
        return tuple(dict.fromkeys(queue.service for queue in self.queues))

    def queue_of(self, kind: str) -> Queue:
        """Returns the queue of a job kind. Raises KeyError."""
        found = next((queue for queue in self.queues if kind in queue.job_kinds), None)
        return found or _missing(kind)

    def queues_of(self, service: str) -> tuple[Queue, ...]:
        """Returns the queues that a service serves, highest priority first."""
        return tuple(sorted((q for q in self.queues if q.service == service), key=lambda q: -q.priority))


def load_queues(file: Path | None = None) -> QueueTable:
    """Reads the shipped table or `file`. Raises QueueTableError."""
    try:
        text = (file or resources.files("mistudio_runtime") / "queues.toml").read_text(encoding="utf-8")
        table = _parse(tomllib.loads(text))
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise QueueTableError(f"the queue table {file or 'queues.toml'} cannot be read: {error}") from error
    return table


def _parse(data: dict[str, Any]) -> QueueTable:
    queues = tuple(_queue(name, row) for name, row in data["queues"].items())
    kinds = [kind for queue in queues for kind in queue.job_kinds]
    if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
        raise ValueError(f"{', '.join(twice)} stands in two queues")
    table = QueueTable(
        queues, {name: tuple(tuple(process) for process in rows) for name, rows in data["profiles"].items()}
    )
    for name, processes in table.profiles.items():
        if unknown := {service for process in processes for service in process} - set(table.services):
            raise ValueError(f"profile {name} names {', '.join(sorted(unknown))}, which serves no queue")
    return table


def _queue(name: str, row: dict[str, Any]) -> Queue:
    if row["priority"] not in PRIORITIES or row["slots"] < 1:
        raise ValueError(f"queue {name}: priority is 1 to 10 and slots at least 1")
    if not isinstance(row.get("max_queued", 0), int) or row.get("max_queued", 0) < 0:
        raise ValueError(f"queue {name}: max_queued is a number of jobs, or 0 for no limit")
    limit = row.get("memory_limit_kb")
    return Queue(
        name=name,
        priority=row["priority"],
        slots=row["slots"],
        service=row["service"],
        job_kinds=tuple(row["job_kinds"]),
        memory_limit_bytes=limit * 1000 if limit else None,
        max_queued=row.get("max_queued", 0),
    )


def _missing(name: str) -> Queue:
    raise KeyError(name)
