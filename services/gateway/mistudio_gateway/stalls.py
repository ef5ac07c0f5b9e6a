"""Whether this process was held up for so long that others had to go on without it."""

from __future__ import annotations

import asyncio
import time

import structlog

from mistudio_runtime.tasks import end_tasks

log = structlog.get_logger(__name__)

_TICK_SECONDS = 0.25


class Stalls:
    """Notices that the event loop stood still: stopped by a signal, swapped out, its machine asleep."""

    def __init__(self, limit_seconds: float) -> None:
        """Takes from how long on standing still counts."""
        self._limit = limit_seconds
        self._ticked = time.monotonic()
        self._last = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to notice."""
        self._ticked = time.monotonic()
        self._task = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Ends."""
        await end_tasks(self._task)

    def since(self, moment: float) -> bool:
        """Tells whether the loop stood still after a moment of time.monotonic(); true from the first instant after."""
        self._look()
        return self._last > moment

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._ticked > self._limit:
            self._last = now
            log.warning(
                "this gateway stood still; its workers are to attach anew", seconds=round(now - self._ticked, 1)
            )
        self._ticked = now

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._look()
