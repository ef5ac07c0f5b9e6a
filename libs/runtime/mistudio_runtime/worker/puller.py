"""Pulls messages into free slots, highest priority first."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable, Iterable, Sequence

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from mistudio_runtime.broker import names
from mistudio_runtime.queues import Queue
from mistudio_runtime.worker.lane import LOOK_SECONDS, Lane, Lanes
from mistudio_runtime.worker.slots import Slots

log = structlog.get_logger(__name__)

_PULL_SECONDS = 2.0


class _Request:
    """Asked for `left` messages; done when they are here or the broker says that there are no more."""

    def __init__(self, number: int, count: int) -> None:
        self.number = number
        self.left = count
        self.done = asyncio.Event()

    def take(self) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()


class Puller:
    """Never holds more messages than there are free slots: it asks for so many, and for the next when it has them."""

    def __init__(
        self, client: Client, queues: Sequence[Queue], slots: Slots, start: Callable[[str, Msg], None]
    ) -> None:
        """Takes the queues to serve, and what takes a slot and starts a message that was pulled."""
        self._client = client
        self._lanes = {queue.name: Lanes(queue.name) for queue in sorted(queues, key=lambda queue: -queue.priority)}
        self._slots = slots
        self._start = start
        self._inbox = client.new_inbox()
        self._numbers = itertools.count(1)
        self._request: _Request | None = None

    async def run(self, attached: asyncio.Event) -> None:
        """Pulls for ever, while the worker is attached to a gateway."""
        for queue in self._lanes:
            await self._client.subscribe(names.wake_subject(queue), cb=self._on_wake)
        await self._client.subscribe(f"{self._inbox}.*", cb=self._on_message)
        while True:
            await attached.wait()
            self._slots.freed.clear()
            if not await self._fill():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._slots.freed.wait()

    async def _on_wake(self, message: Msg) -> None:
        self._lanes[names.queue_of_wake(message.subject)].wake(names.priorities_of_wake(message.data))
        self._slots.freed.set()

    async def _on_message(self, message: Msg) -> None:
        request = self._request
        if (message.headers or {}).get("Status"):
            if request is not None and message.subject.endswith(f".{request.number}"):
                request.done.set()
        elif request is None or not request.left:
            with contextlib.suppress(nats.errors.Error):
                await message.nak()  # the answer to a request that was given up
        else:
            request.take()
            self._start(names.queue_of_job(message.subject), message)

    async def _fill(self) -> bool:
        pulled = 0
        for queue, lanes in self._lanes.items():
            if free := self._slots.free(queue):
                got = await self._ask_in_turn(lanes.lowest_first(), 1) if lanes.guard_is_due(free) else 0
                got += await self._ask_in_turn(lanes.highest_first(), free - got)
                lanes.filled(got)
                pulled += got
        return pulled > 0

    async def _ask_in_turn(self, lanes: Iterable[Lane], count: int) -> int:
        wanted = count
        for lane in lanes:
            if not wanted:
                break
            wanted -= await self._ask(lane, wanted)
        return count - wanted

    async def _ask(self, lane: Lane, count: int) -> int:
        """Returns how many messages came."""
        lane.expect_empty()  # before asking: a wake-up while asking must count
        self._request = request = _Request(next(self._numbers), count)
        try:
            await self._client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{names.JOBS_STREAM}.{lane.consumer}",
                json.dumps({"batch": count, "no_wait": True}).encode(),
                reply=f"{self._inbox}.{request.number}",
            )
            async with asyncio.timeout(_PULL_SECONDS):
                await request.done.wait()
        except (TimeoutError, nats.errors.Error) as error:
            log.warning("queue cannot be asked", queue=lane.queue, kind=type(error).__name__)
        finally:
            self._request = None
        if not request.left:
            lane.wake()
        return count - request.left
