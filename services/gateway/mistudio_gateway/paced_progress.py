"""Progress at a pace that an event log can bear, whatever workers send."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from mistudio import v1
from mistudio_runtime.errors import MeshError

log = structlog.get_logger(__name__)

_LATE_SECONDS = 1.0
"""A gateway that stood still for longer drops what it kept: the attempt may have gone on, and ended, at another one."""
INTERVAL_SECONDS = 0.2
"""A little less than that of workers, which reaches the gateway with jitter."""


@dataclass
class _Pause:
    """The time after an event in which its job stores no other one."""

    over: asyncio.TimerHandle
    due: float
    """When it ends, by the loop's clock."""
    newest: v1.JobEvent | None = None


class PacedProgress:
    """Stores of each job the newest progress event of each interval."""

    def __init__(self, store: Callable[[v1.JobEvent], Awaitable[None]], interval: float = INTERVAL_SECONDS) -> None:
        """Takes what stores an event."""
        self._store = store
        self._interval = interval
        self._pauses: dict[str, _Pause] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, event: v1.JobEvent) -> None:
        """Stores an event, or keeps it until the interval is over or a newer one comes. Raises what storing raises."""
        if pause := self._pauses.get(event.job_id):
            pause.newest = event
            return
        self._pause(event.job_id)
        await self._store(event)

    async def flush(self, job_id: str) -> None:
        """Stores what is kept of a job; if that fails it is lost, as the next event tells more anyway."""
        if (pause := self._pauses.get(job_id)) and (event := pause.newest):
            pause.newest = None
            try:
                await self._store(event)
            except MeshError as error:
                log.warning("progress is not stored", job=job_id, reason=error.reason)

    def keeps(self, job_id: str) -> bool:
        """Tells whether something of a job is not stored yet."""
        pause = self._pauses.get(job_id)
        return pause is not None and pause.newest is not None

    def stop(self) -> None:
        """Forgets what is kept."""
        for pause in self._pauses.values():
            pause.over.cancel()
        for task in self._tasks:
            task.cancel()
        self._pauses.clear()

    def _pause(self, job_id: str, newest: v1.JobEvent | None = None) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._interval
        self._pauses[job_id] = _Pause(loop.call_at(due, self._go_on, job_id), due, newest)

    def _go_on(self, job_id: str) -> None:
        pause = self._pauses.pop(job_id)
        newest = pause.newest
        if newest is None or asyncio.get_running_loop().time() - pause.due > _LATE_SECONDS:
            return
        self._pause(job_id, newest)
        task = asyncio.get_running_loop().create_task(self.flush(job_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
