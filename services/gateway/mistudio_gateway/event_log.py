"""The log of job events: appended once, replayed from any position by any gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from nats.aio.client import Client
from nats.js.errors import APIError

from mistudio import v1
from mistudio_gateway.attempt_fences import AttemptFences, StillCurrent
from mistudio_gateway.batching import BatchedStream
from mistudio_gateway.broker_errors import OVERTAKEN, broker_answers
from mistudio_gateway.paced_progress import PacedProgress
from mistudio_gateway.stored_event import StoredEvent, as_job
from mistudio_gateway.stream_pages import StreamPages
from mistudio_runtime.broker import names
from mistudio_runtime.errors import UnavailableError

PROGRESS_KEPT = "3600s"
"""Progress is for those who watch: a job of weeks shall not be replayed step by step."""
_BATCH = 128
_BATCH_BYTES = 64 * 1024
"""What a watcher may hold that does not read."""
_TRIES = 5
"""A change of state may come between any two of them."""
_GATHER_SECONDS = 0.005
"""People watch events: what decides about jobs is synced to disk before them."""


class EventLog:
    """Events of all jobs in one stream, a subject a job and kind. A sequence is a position in that stream."""

    def __init__(self, client: Client) -> None:
        """Takes the connection."""
        self._client = client
        self._stream = BatchedStream(client, gather_seconds=_GATHER_SECONDS)
        self._progress = PacedProgress(self._append_progress)
        self._fences = AttemptFences(self._last_change)

    def fence_by(self, still_current: StillCurrent) -> None:
        """From now on what an attempt says is refused once it is over, however late it comes."""
        self._fences.still_current = still_current

    def stop(self) -> None:
        """Ends what is under way of its own accord."""
        self._progress.stop()

    async def append(self, event: v1.JobEvent, *, deduplication_id: str) -> None:
        """Stores an event; a repeated id within two minutes stores nothing twice.

        Of progress, the newest of each interval is stored. Raises UnavailableError if the broker does not answer, and
        FailedPreconditionError if the attempt is over.
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
        stored = self._store_state(job, event.SerializeToString() + as_job(data), headers)
        if self._progress.keeps(job.id):
            await asyncio.gather(self._progress.flush(job.id), stored)
        else:
            await stored

    async def read(self, job_id: str, after_sequence: int) -> AsyncIterator[StoredEvent]:
        """Yields the stored events of a job after a position, oldest first, until there are no more."""
        pages, position, more = self._pages(job_id), after_sequence, True
        while more:
            page = await pages.after(position, _BATCH, _BATCH_BYTES)
            for message in page.messages:
                yield StoredEvent.of_message(message.subject, message.data, message.sequence)
                position = message.sequence
            more = page.more

    async def last_sequence(self, job_id: str) -> int:
        """Returns the position of a job's last event, 0 if it has none: asks the stream's leader, who knows all.

        Raises UnavailableError.
        """
        found = await self._pages(job_id).last(names.events_filter(job_id))
        return found.sequence if found else 0

    def _pages(self, job_id: str) -> StreamPages:
        return StreamPages(self._client, names.EVENTS_STREAM, names.events_filter(job_id))

    async def _last_change(self, job_id: str) -> int:
        found = await self._pages(job_id).last(names.event_subject(job_id))
        return found.sequence if found else 0

    async def _append(self, event: v1.JobEvent, headers: dict[str, str]) -> None:
        subject = names.event_subject(event.job_id, event.WhichOneof("event") or "job")
        payload = event.SerializeToString()
        for _ in range(_TRIES):
            fence = await self._fences.headers(event.job_id, event.attempt)
            try:
                await self._store(subject, payload, headers | fence)
            except APIError as error:
                if error.err_code not in OVERTAKEN:
                    raise
                self._fences.forget(event.job_id)
            else:
                return
        raise UnavailableError("the job's state changes too fast for its events; try again in a moment")

    async def _store_state(self, job: v1.Job, payload: bytes, headers: dict[str, str]) -> None:
        told, sequence = self._fences.begin(job.id), None
        try:
            sequence = await self._store(names.event_subject(job.id), payload, headers)
        finally:
            self._fences.end(job, told, sequence)

    async def _store(self, subject: str, payload: bytes, headers: dict[str, str]) -> int:
        with broker_answers():
            return await self._stream.append(subject, payload, headers)

    async def _append_progress(self, event: v1.JobEvent) -> None:
        await self._append(event, {names.MESSAGE_TTL: PROGRESS_KEPT})
