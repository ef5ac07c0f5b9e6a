"""The log of job events: appended once, replayed from any position by any gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from mistudio import v1
from mistudio_gateway.batching import BatchedStream
from mistudio_gateway.broker_errors import broker_answers
from mistudio_gateway.paced_progress import PacedProgress
from mistudio_gateway.stored_event import StoredEvent, as_job
from mistudio_runtime.broker import names
from mistudio_runtime.errors import UnavailableError

PROGRESS_KEPT = "3600s"
"""Progress is for those who watch: a job of weeks shall not be replayed step by step."""
_BATCH = 128
_BATCH_BYTES = 64 * 1024
"""What a watcher may hold that does not read."""
_READ_SECONDS = 5.0
_LAST_SEQUENCE = 2**64 - 1
_NOT_FOUND = 404
_NO_MESSAGE = str(_NOT_FOUND)
_END_OF_BATCH = "204"


class EventLog:
    """Events of all jobs in one stream, a subject a job and kind. A sequence is a position in that stream."""

    def __init__(self, client: Client) -> None:
        """Takes the connection."""
        self._client = client
        self._stream = BatchedStream(client)
        self._progress = PacedProgress(self._append_progress)

    def stop(self) -> None:
        """Ends what is under way of its own accord."""
        self._progress.stop()

    async def append(self, event: v1.JobEvent, *, deduplication_id: str) -> None:
        """Stores an event; a repeated id within two minutes stores nothing twice.

        Of progress, the newest of each interval is stored. Raises UnavailableError if the broker does not answer.
        """
        if event.WhichOneof("event") == "progress":
            await self._progress.add(event)
        else:
            await self._append(event, {names.MESSAGE_ID: deduplication_id})

    async def append_state(self, job: v1.Job, data: bytes, revision: int) -> None:
        """Stores that a job changed its state, after the progress that it made before. Raises UnavailableError.

        `data` is the job serialized.
        """
        event = v1.JobEvent(job_id=job.id, attempt=job.attempts[-1].number if job.attempts else 0, time=job.update_time)
        headers = {names.MESSAGE_ID: f"{job.id}.state.{revision}"}
        stored = self._store(names.event_subject(job.id), event.SerializeToString() + as_job(data), headers)
        if self._progress.keeps(job.id):
            await asyncio.gather(self._progress.flush(job.id), stored)
        else:
            await stored

    async def read(self, job_id: str, after_sequence: int) -> AsyncIterator[StoredEvent]:
        """Yields the stored events of a job after a position, oldest first, until there are no more."""
        position, more = after_sequence, True
        while more:
            events, more = await self._read_batch(job_id, position)
            for event in events:
                yield event
                position = event.sequence

    async def last_sequence(self, job_id: str) -> int:
        """Returns the position of a job's last event, 0 if it has none: asks the stream's leader, who knows all.

        Raises UnavailableError.
        """
        request = json.dumps({"last_by_subj": names.events_filter(job_id)}).encode()
        with broker_answers():
            answer = await self._client.request(
                f"$JS.API.STREAM.MSG.GET.{names.EVENTS_STREAM}", request, timeout=_READ_SECONDS
            )
        found = json.loads(answer.data)
        if "message" in found:
            return int(found["message"]["seq"])
        if found["error"]["code"] != _NOT_FOUND:
            raise UnavailableError("the message broker cannot tell events now; try again in a moment")
        return 0

    async def _append(self, event: v1.JobEvent, headers: dict[str, str]) -> None:
        subject = names.event_subject(event.job_id, event.WhichOneof("event") or "job")
        await self._store(subject, event.SerializeToString(), headers)

    async def _store(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        with broker_answers():
            await self._stream.append(subject, payload, headers)

    async def _append_progress(self, event: v1.JobEvent) -> None:
        await self._append(event, {names.MESSAGE_TTL: PROGRESS_KEPT})

    async def _read_batch(self, job_id: str, after_sequence: int) -> tuple[list[StoredEvent], bool]:
        """Returns events, and whether there are more."""
        request = {
            "seq": min(after_sequence + 1, _LAST_SEQUENCE),
            "next_by_subj": names.events_filter(job_id),
            "batch": _BATCH,
            "max_bytes": _BATCH_BYTES,
        }
        inbox = self._client.new_inbox()
        messages: asyncio.Queue[Msg] = asyncio.Queue()
        with broker_answers():
            answers = await self._client.subscribe(inbox, cb=messages.put)
            try:
                await self._client.publish(
                    f"$JS.API.DIRECT.GET.{names.EVENTS_STREAM}", json.dumps(request).encode(), reply=inbox
                )
                # The client's own way to wait may lose the cancellation of a watcher that has gone away.
                async with asyncio.timeout(_READ_SECONDS):
                    return await _batch(messages)
            except TimeoutError as error:
                raise nats.errors.TimeoutError from error
            finally:
                await answers.unsubscribe()


async def _batch(messages: asyncio.Queue[Msg]) -> tuple[list[StoredEvent], bool]:
    events: list[StoredEvent] = []
    while True:
        message = await messages.get()
        headers = message.headers or {}
        if _ends(headers.get("Status")):
            return events, headers.get("Nats-Num-Pending", "0") != "0"
        events.append(_stored(message, headers))


def _ends(status: str | None) -> bool:
    if status == "503":
        raise nats.errors.NoRespondersError
    return status in (_NO_MESSAGE, _END_OF_BATCH)


def _stored(message: Msg, headers: dict[str, str]) -> StoredEvent:
    return StoredEvent.of_message(headers["Nats-Subject"], message.data, int(headers["Nats-Sequence"]))
