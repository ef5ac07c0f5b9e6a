"""Has the broker hand out no messages of paused queues: a consumer's own pause, which survives its restarts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import structlog
from nats.aio.client import Client

from mistudio_gateway.broker_errors import broker_answers
from mistudio_runtime.broker import names
from mistudio_runtime.errors import UnavailableError

log = structlog.get_logger(__name__)

_FOR_EVER = "2200-01-01T00:00:00Z"
"""The broker pauses until a time, and counts in nanoseconds: 292 years are the most."""
_SECONDS = 5.0


class QueueConsumers:
    """The consumers of the stream JOBS, by queue. A paused one answers pulls as an empty one does."""

    def __init__(self, client: Client, queues: Iterable[str]) -> None:
        """Takes the queues of the table."""
        self._client = client
        self._queue_of = {name: queue for queue in queues for name in names.consumers(queue)}

    async def agree(self, paused: Iterable[str]) -> None:
        """Pauses the consumers of these queues and resumes all others; what is right already is left alone.

        Workers of resumed queues are told to look. Raises UnavailableError.
        """
        wanted = set(paused)
        there = await self.found()
        wrong = {
            name: queue for name, queue in self._queue_of.items() if name in there and there[name] != (queue in wanted)
        }
        await asyncio.gather(*(self._set(name, paused=queue in wanted) for name, queue in wrong.items()))
        for queue in sorted(set(wrong.values()) - wanted):
            await self._client.publish(names.wake_subject(queue))

    async def found(self) -> dict[str, bool]:
        """Returns consumer to whether it is paused. Raises UnavailableError."""
        found: dict[str, bool] = {}
        while True:
            page = await self._ask(f"CONSUMER.LIST.{names.JOBS_STREAM}", {"offset": len(found)})
            consumers = page.get("consumers") or []
            found |= {consumer["name"]: bool(consumer.get("paused")) for consumer in consumers}
            if not consumers or len(found) >= page["total"]:
                return found

    async def _set(self, consumer: str, *, paused: bool) -> None:
        request = {"pause_until": _FOR_EVER} if paused else {}
        await self._ask(f"CONSUMER.PAUSE.{names.JOBS_STREAM}.{consumer}", request)

    async def _ask(self, what: str, request: dict[str, Any]) -> dict[str, Any]:
        with broker_answers():
            answer = await self._client.request(f"$JS.API.{what}", json.dumps(request).encode(), timeout=_SECONDS)
        document: dict[str, Any] = json.loads(answer.data)
        if error := document.get("error"):
            log.warning("the broker refuses", request=what, reason=error.get("description"))
            raise UnavailableError("the message broker cannot pause or resume queues now; try again in a moment")
        return document
