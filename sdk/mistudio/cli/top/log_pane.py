"""The log of the job that is looked at."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from mistudio import errors
from mistudio.aio.client import AsyncClient
from mistudio.job_log import JobLogLine

_KEPT = 500
_AGAIN_SECONDS = 1.0


class LogPane:
    """Follows one job at a time."""

    def __init__(self, client: AsyncClient, changed: Callable[[], None]) -> None:
        """Takes whom to tell of news."""
        self._client = client
        self._changed = changed
        self._job_id = ""
        self._task: asyncio.Task[None] | None = None
        self.lines: deque[JobLogLine] = deque(maxlen=_KEPT)
        """The last lines."""

    def follow(self, job_id: str) -> None:
        """Turns to a job; to none if the id is empty."""
        if job_id == self._job_id:
            return
        self.stop()
        self._job_id = job_id
        self.lines.clear()
        if job_id:
            self._task = asyncio.create_task(self._run(job_id))

    def stop(self) -> None:
        """Follows nothing any more."""
        self._job_id = ""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, job_id: str) -> None:
        while True:
            try:
                async for line in self._client.jobs.logs(job_id, follow=True, tail=_KEPT, changes=True):
                    self.lines.append(line)
                    self._changed()
            except errors.MistudioError:
                self.lines.clear()  # the screen's banner says that the gateway is away
            else:
                return
            await asyncio.sleep(_AGAIN_SECONDS)
