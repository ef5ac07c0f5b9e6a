"""Waiting for a condition with a deadline, in place of sleeping and hoping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_PERIOD_SECONDS = 0.01


async def eventually(
    condition: Callable[[], T | Awaitable[T]], *, within: float = 30.0, what: str = "", period: float = _PERIOD_SECONDS
) -> T:
    """Returns the condition's first true value; fails after `within` seconds, saying what was waited for.

    A condition that is costly to look at is looked at each `period` seconds.
    """
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or getattr(condition, '__doc__', None) or condition}")
        await asyncio.sleep(period)
