"""A server that stores nothing more after a failed write, until it is started again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mistudio_runtime.processes.spec import Backoff

ROOM_BYTES = 64 * 2**20
"""With less the next write would soon fail again."""
_FAILED_WRITE = "critical write error"
_PATIENCE = Backoff(first_seconds=2.0, limit_seconds=300.0, healthy_after_seconds=600.0)
"""A disk that is broken and not full fails again at once: then the server is restarted less and less often."""


class RefusalWatch:
    """Hears the server's lines; has it restarted once there is room on the disk.

    nats-server writes nothing more to a stream of which one write has failed, whatever room there is afterwards.
    """

    def __init__(self, folder: Path, restart: Callable[[], None], patience: Backoff = _PATIENCE) -> None:
        """Takes the server's store and what restarts it."""
        self._folder = folder
        self._restart = restart
        self._patience = patience
        self._failures = 0
        self._last = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def line(self, text: str) -> None:
        """Takes a line of the server's log."""
        if _FAILED_WRITE in text.lower() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._restart_when_there_is_room())

    def started(self) -> None:
        """Forgets the failure: a server that has just been started stores again."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Ends; nothing is restarted any more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _restart_when_there_is_room(self) -> None:
        clock = asyncio.get_running_loop().time
        forgotten = clock() - self._last > self._patience.healthy_after_seconds
        self._failures = 1 if forgotten else self._failures + 1
        await asyncio.sleep(self._patience.delay(self._failures))
        while not await asyncio.to_thread(self._has_room):  # noqa: ASYNC110 - nobody tells that a disk has room
            await asyncio.sleep(self._patience.first_seconds)
        self._last = clock()
        self._restart()

    def _has_room(self) -> bool:
        try:
            return shutil.disk_usage(self._folder).free >= ROOM_BYTES
        except OSError:
            return False
