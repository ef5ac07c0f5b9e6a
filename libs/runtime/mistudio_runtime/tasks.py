"""Ending asyncio tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_SECONDS = 0.5


async def end_tasks(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancels tasks and waits until they have ended; what comes out of them is not looked at.

    One cancellation may get lost: asyncio.wait_for of Python 3.11, on which the broker's client stands, swallows one
    that comes together with its result. So it is repeated.
    """
    given = [task for task in tasks if task is not None]
    running = {task for task in given if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_AGAIN_SECONDS)
    for task in given:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody warns of it
