"""Free ports, and waiting for what other processes do."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

_PERIOD_SECONDS = 0.05


def free_port() -> int:
    """Returns a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(
    condition: Callable[[], Awaitable[bool]], seconds: float, what: str, *, period: float = _PERIOD_SECONDS
) -> None:
    """Waits for a condition, looked at each `period` seconds. Raises TimeoutError that says what was waited for."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(period)
