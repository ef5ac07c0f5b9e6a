"""Keeps a snapshot fresh, whatever the gateway does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from mistudio import errors
from mistudio.aio.client import AsyncClient
from mistudio.cli.top.snapshot import CALL_SECONDS, Snapshot, read_snapshot
from mistudio.cli.top.tally import Tally

_LOOKED_UP = 20
"""Vanished jobs that are asked for in one round."""


class Feed:
    """Asks again and again; a gateway that is away or hangs is waited for."""

    def __init__(self, client: AsyncClient, interval: float, changed: Callable[[], None]) -> None:
        """Takes the seconds between rounds, and whom to tell of news."""
        self._client = client
        self._interval = interval
        self._changed = changed
        self._wanted = asyncio.Event()
        self.snapshot = Snapshot()
        """The last one that could be had."""
        self.tally = Tally(self.snapshot.time)
        """What has ended since."""
        self.problem = ""
        """Why there is no newer one; empty if all is well."""

    async def run(self) -> None:
        """Goes on until cancelled."""
        while True:
            try:
                await self._round()
                self.problem = ""
            except errors.MistudioError as error:
                self.problem = _sentence(error)
            self._changed()
            await self._pause()

    def soon(self) -> None:
        """Asks for a round now."""
        self._wanted.set()

    async def _round(self) -> None:
        self.snapshot = await read_snapshot(self._client)
        vanished = self.tally.take(self.snapshot.unfinished, self.snapshot.ended)
        for job_id in sorted(vanished)[:_LOOKED_UP]:
            with contextlib.suppress(errors.NotFoundError):
                self.tally.end((await self._client.jobs.get(job_id, timeout=CALL_SECONDS)).proto)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._interval):
                await self._wanted.wait()
        self._wanted.clear()


def _sentence(error: errors.MistudioError) -> str:
    return f"{error.message}; trying again"
