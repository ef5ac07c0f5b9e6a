from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mistudio_gateway.ordered_tasks import OrderedTasks
from support.waiting import eventually


async def test_a_key_keeps_its_order_and_others_do_not_wait() -> None:
    done: list[str] = []
    gate = asyncio.Event()

    def work(name: str, *, waits: bool) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            if waits:
                await gate.wait()
            done.append(name)
            if name == "b1":
                gate.set()

        return run

    tasks = OrderedTasks(limit=8)
    await tasks.add("a", work("a1", waits=True))
    await tasks.add("a", work("a2", waits=False))
    await tasks.add("b", work("b1", waits=False))
    await eventually(lambda: len(done) == 3, within=10)
    assert done == ["b1", "a1", "a2"]


async def test_add_waits_when_too_much_is_under_way() -> None:
    gate = asyncio.Event()
    tasks = OrderedTasks(limit=1)

    async def wait() -> None:
        await gate.wait()

    await tasks.add("a", wait)
    second = asyncio.create_task(tasks.add("b", wait))
    await asyncio.sleep(0)
    assert not second.done()
    gate.set()
    async with asyncio.timeout(10):
        await second
    await tasks.stop()


async def test_stop_ends_what_is_under_way() -> None:
    ended = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    tasks = OrderedTasks(limit=2)
    await tasks.add("a", never)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await tasks.stop()
    assert ended.is_set()
