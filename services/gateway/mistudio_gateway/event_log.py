"""The log of job events: appended once, replayed from any position by any gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from mistudio import v1
from mistudio_gateway.broker_errors import broker_answers
from mistudio_runtime.broker import names

_BATCH = 256
_READ_SECONDS = 5.0
_LAST_SEQUENCE = 2**64 - 1
_EVENT_SEQUENCE = "Nats-Sequence"
_NO_MESSAGE = "404"
_END_OF_BATCH = "204"


class EventLog:
    """Events of all jobs in one stream, a subject a job. A sequence is a position in that stream."""

    def __init__(self, client: Client, js: JetStreamContext) -> None:
        """Takes the connection."""
        self._client = client
        self._js = js
        self._waiting: dict[str, set[asyncio.Event]] = {}

    async def start(self) -> None:
        """Begins to listen for news of other gateways."""
        await self._client.subscribe(names.ALL_NUDGES, cb=self._on_nudge)

    async def append(self, event: v1.JobEvent, *, deduplication_id: str) -> None:
        """Stores an event and tells who waits for it; a repeated id within two minutes stores nothing twice.

        Raises UnavailableError if the broker does not answer.
        """
        with broker_answers():
            await self._js.publish(
                names.event_subject(event.job_id),
                event.SerializeToString(),
                headers={names.MESSAGE_ID: deduplication_id},
            )
            await self._client.publish(names.nudge_subject(event.job_id))

    async def append_state(self, job: v1.Job, revision: int, now: datetime) -> None:
        """Stores that a job changed its state."""
        event = v1.JobEvent(job_id=job.id, job=job, attempt=job.attempts[-1].number if job.attempts else 0)
        event.time.FromDatetime(now)
        await self.append(event, deduplication_id=f"{job.id}.state.{revision}")

    async def read(self, job_id: str, after_sequence: int) -> AsyncIterator[v1.JobEvent]:
        """Yields the stored events of a job after a position, oldest first, until there are no more."""
        position = after_sequence
        while True:
            events = await self._read_batch(job_id, position)
            for event in events:
                yield event
                position = event.sequence
            if len(events) < _BATCH:
                return

    @contextmanager
    def listen(self, job_id: str) -> Iterator[asyncio.Event]:
        """Gives an event that is set at each new event of a job; listen first, then read, and nothing is missed."""
        news = asyncio.Event()
        self._waiting.setdefault(job_id, set()).add(news)
        try:
            yield news
        finally:
            self._waiting[job_id].discard(news)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def _on_nudge(self, message: Msg) -> None:
        for news in self._waiting.get(names.job_of_subject(message.subject), ()):
            news.set()

    async def _read_batch(self, job_id: str, after_sequence: int) -> list[v1.JobEvent]:
        first = min(after_sequence + 1, _LAST_SEQUENCE)
        request = {"seq": first, "next_by_subj": names.event_subject(job_id), "batch": _BATCH}
        inbox = self._client.new_inbox()
        with broker_answers():
            answers = await self._client.subscribe(inbox)
            try:
                await self._client.publish(
                    f"$JS.API.DIRECT.GET.{names.EVENTS_STREAM}", json.dumps(request).encode(), reply=inbox
                )
                events: list[v1.JobEvent] = []
                while (message := await answers.next_msg(timeout=_READ_SECONDS)) and not _ends(message):
                    events.append(_event(message))
                return events
            finally:
                await answers.unsubscribe()


def _ends(message: Msg) -> bool:
    status = (message.headers or {}).get("Status")
    if status == "503":
        raise nats.errors.NoRespondersError
    return status in (_NO_MESSAGE, _END_OF_BATCH)


def _event(message: Msg) -> v1.JobEvent:
    event = v1.JobEvent.FromString(message.data)
    event.sequence = int((message.headers or {})[_EVENT_SEQUENCE])
    return event
