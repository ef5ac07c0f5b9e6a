"""Pulls messages into free slots, highest priority first."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from mistudio_runtime.broker import names
from mistudio_runtime.queues import Queue
from mistudio_runtime.worker.slots import Slots

log = structlog.get_logger(__name__)

STARVATION_GUARD = 10
"""Every so many pulls from a queue the lowest priority is asked first, so that it moves under constant load."""
_PULL_SECONDS = 2.0
_LOOK_SECONDS = 1.0  # redeliveries come without a wake-up
_REQUEST = json.dumps({"batch": 1, "no_wait": True}).encode()


class Puller:
    """Never holds more messages than there are free slots."""

    def __init__(
        self, client: Client, queues: Sequence[Queue], slots: Slots, start: Callable[[str, Msg], None]
    ) -> None:
        """Takes the queues to serve, and what starts a message that was pulled from one."""
        self._client = client
        self._queues = sorted(queues, key=lambda queue: -queue.priority)
        self._slots = slots
        self._start = start
        self._pulls = {queue.name: itertools.count(1) for queue in queues}
        self._look_at = {queue.name: 0.0 for queue in queues}

    async def run(self, attached: asyncio.Event) -> None:
        """Pulls for ever, while the worker is attached to a gateway."""
        for queue in self._queues:
            await self._client.subscribe(names.wake_subject(queue.name), cb=self._on_wake)
        while True:
            await attached.wait()
            self._slots.freed.clear()
            if not await self._fill():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._slots.freed.wait()

    async def _on_wake(self, message: Msg) -> None:
        self._look_at[names.queue_of_wake(message.subject)] = 0.0
        self._slots.freed.set()

    async def _fill(self) -> bool:
        pulled = False
        for queue in self._queues:
            if self._slots.free(queue.name) and (message := await self._look(queue.name)):
                self._slots.take(queue.name)
                self._start(queue.name, message)
                pulled = True
        return pulled

    async def _look(self, queue: str) -> Msg | None:
        """Asks a queue, unless it was found empty lately and nobody has woken this worker for it since."""
        now = time.monotonic()
        if now < self._look_at[queue]:
            return None
        self._look_at[queue] = now + _LOOK_SECONDS  # before asking: a wake-up while asking must count
        message = await self._pull(queue)
        if message is not None:
            self._look_at[queue] = 0.0
        return message

    async def _pull(self, queue: str) -> Msg | None:
        for consumer in self._order(queue):
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{names.JOBS_STREAM}.{consumer}"
            try:
                # A pulled message keeps its own subject, so the client's shared inbox could not tell whose it is.
                message = await self._client.request(subject, _REQUEST, timeout=_PULL_SECONDS, old_style=True)
            except nats.errors.Error as error:
                log.warning("queue cannot be asked", queue=queue, kind=type(error).__name__)
                return None
            if not (message.headers or {}).get("Status"):
                return message
        return None

    def _order(self, queue: str) -> Iterator[str]:
        highest_first = names.consumers(queue)
        guard = next(self._pulls[queue]) % STARVATION_GUARD == 0
        return iter(reversed(highest_first) if guard else highest_first)
