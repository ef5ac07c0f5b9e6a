"""Work that runs side by side, but in order for each key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mistudio_runtime.tasks import end_tasks


class OrderedTasks:
    """What is added for one key runs after what was added for it before; keys do not wait for each other."""

    def __init__(self, limit: int) -> None:
        """Takes how much may be under way; `add` waits beyond that, which slows down whoever adds."""
        self._room = asyncio.Semaphore(limit)
        self._last: dict[str, asyncio.Task[None]] = {}
        self._all: set[asyncio.Task[None]] = set()

    async def add(self, key: str, work: Callable[[], Awaitable[None]]) -> None:
        """Begins `work` as soon as the key's earlier work has ended."""
        await self._room.acquire()
        task = asyncio.create_task(self._run(self._last.get(key), work))
        self._last[key] = task
        self._all.add(task)
        task.add_done_callback(lambda done: self._forget(key, done))

    async def stop(self) -> None:
        """Cancels what is under way."""
        await end_tasks(*self._all)

    async def _run(self, before: asyncio.Task[None] | None, work: Callable[[], Awaitable[None]]) -> None:
        if before is not None:
            await asyncio.wait({before})
        await work()

    def _forget(self, key: str, task: asyncio.Task[None]) -> None:
        self._room.release()
        self._all.discard(task)
        if self._last.get(key) is task:
            del self._last[key]
