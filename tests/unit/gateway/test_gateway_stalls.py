"""A process that stood still knows it before it does anything else."""

from __future__ import annotations

import asyncio
import time

from mistudio_gateway.stalls import Stalls
from support.waiting import eventually


async def test_a_loop_that_stands_still_is_noticed_at_once_and_once() -> None:
    stalls = Stalls(0.5)
    stalls.start()
    opened = time.monotonic()
    await asyncio.to_thread(lambda: None)
    assert not stalls.since(opened)
    deadline = time.monotonic() + 0.7
    while time.monotonic() < deadline:  # what a SIGSTOP does to the loop
        pass
    assert stalls.since(opened)
    assert not stalls.since(time.monotonic())
    await stalls.stop()


async def test_it_is_noticed_without_being_asked() -> None:
    stalls = Stalls(0.5)
    stalls.start()
    opened = time.monotonic()
    deadline = opened + 0.7
    while time.monotonic() < deadline:
        pass
    await eventually(lambda: stalls._last > opened, what="the stall is noticed")
    await stalls.stop()
