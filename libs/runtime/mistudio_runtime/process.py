"""Running one asyncio process until somebody asks it to end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import uvloop

T = TypeVar("T")


class StoppedEarlyError(Exception):
    """The process was asked to end before it had begun its work."""


def run_until_signalled(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Runs `main(stop)`; SIGTERM and SIGINT set `stop`, and `main` ends when it has put everything away.

    StoppedEarlyError is an end as good as any.
    """
    # Tasks, futures and messages come and go by the thousand: looked over at every 700 they cost a tenth of the time.
    gc.set_threshold(20_000, 10, 10)
    gc.freeze()

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        with contextlib.suppress(StoppedEarlyError):
            await main(stop)

    uvloop.run(run())


async def unless_stopped(stop: asyncio.Event, work: Awaitable[T]) -> T:
    """Waits for work that may take for ever.

    Raises StoppedEarlyError, with the work cancelled, if `stop` is set before it is done.
    """
    working = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise StoppedEarlyError
        return await working
    finally:
        for task in (working, stopped):
            task.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)
