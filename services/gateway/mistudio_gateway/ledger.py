"""The job ledger: one record a job, changed by compare-and-set along legal transitions only."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from nats.aio.client import Client
from nats.js.errors import APIError
from nats.js.kv import KV_DEL, KV_PURGE

from mistudio import v1
from mistudio_gateway.batching import BatchedStream
from mistudio_gateway.broker_errors import OVERTAKEN, broker_answers
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.ledger_mirror import Hear, LedgerMirror
from mistudio_gateway.ledger_record import LedgerRecord
from mistudio_gateway.quoting import quoted
from mistudio_gateway.state_machine import IllegalTransitionError
from mistudio_gateway.stream_pages import StreamPages
from mistudio_runtime.broker import names
from mistudio_runtime.errors import FailedPreconditionError, MeshError, NotFoundError
from mistudio_runtime.tasks import end_tasks

log = structlog.get_logger(__name__)

T = TypeVar("T")
_STOP_SECONDS = 2.0
JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What the broker can have as a key."""


class _Overtaken(Exception):  # noqa: N818 - no error: somebody else was faster
    """The record is not at the revision that was expected."""


def utc_now() -> datetime:
    """Returns the time as records hold it."""
    return datetime.now(UTC)


def _stand(job: v1.Job) -> tuple[v1.JobState.ValueType, int, int, bool]:
    # A lost attempt and the next one may be one change, which leaves the state as it was.
    return job.state, job.enqueue_count, len(job.attempts), job.finish_requested


class Ledger:
    """What is true of every job. Only gateways write it, and only through `create`, `change` and `remove`.

    Records are read from memory where that is safe: what a change of a record in memory leads to is believed only
    when it is stored at the expected revision; a refusal, an error or no change at all are looked at again.
    """

    def __init__(self, client: Client, events: EventLog) -> None:
        """Takes the connection and the log that hears of every change of state."""
        self._events = events
        self._mirror = LedgerMirror(client)
        self._stream = BatchedStream(client)
        self._pages = StreamPages(client, names.bucket_stream(names.LEDGER_BUCKET), "")
        self._telling: dict[str, asyncio.Task[None]] = {}
        """Job to the storing of its last event."""

    def tell(self, hear: Hear) -> None:
        """Before `start`: has each record told that is new in the mirror, and None for one that has gone."""
        self._mirror.hear = hear

    async def start(self) -> None:
        """Begins to mirror the bucket."""
        await self._mirror.start()

    async def stop(self) -> None:
        """Ends the mirror, when the events of what has changed are stored."""
        if telling := [*self._telling.values()]:
            await asyncio.wait(telling, timeout=_STOP_SECONDS)
        await end_tasks(*telling)
        await self._mirror.stop()

    def records(self) -> Collection[LedgerRecord]:
        """Returns all records as the mirror has them: for lists, never for decisions."""
        return self._mirror.records.values()

    def unfinished(self) -> list[v1.Job]:
        """Returns the jobs that are not over, as the mirror has them: for finding work, never for decisions."""
        return self._mirror.unfinished()

    def in_states(self, *states: v1.JobState.ValueType) -> list[v1.Job]:
        """Returns the jobs in some states, as the mirror has them."""
        return self._mirror.in_states(states)

    def mirrored(self, job_id: str) -> v1.Job | None:
        """Returns a job as the mirror has it; not to be changed."""
        record = self._mirror.records.get(job_id)
        return record.job if record else None

    async def create(self, job: v1.Job) -> bool:
        """Records a new job; returns False if its id is taken. Raises UnavailableError."""
        if job.id in self._mirror.records:
            return False
        revision = 0
        while True:
            try:
                await self._store(job, revision)
            except _Overtaken:
                record, last = await self._look_up(job.id)
                if record is not None:
                    return False
                revision = last  # the mark of a deleted one
            else:
                return True

    async def get(self, job_id: str) -> v1.Job:
        """Reads a job. Raises NotFoundError, UnavailableError."""
        return (await self._read(job_id)).job

    async def change(self, job_id: str, change: Callable[[v1.Job], T], *, fresh: bool = False) -> tuple[v1.Job, T]:
        """Applies `change` to a job and stores the result, again from the start if somebody else was faster.

        An unchanged record is not written. A change of state or a new attempt is an event. `fresh` reads the record
        before all else, which only a broker that answers lets happen. Raises what `change` raises (an illegal
        transition as FailedPreconditionError), NotFoundError, UnavailableError.
        """
        record = None if fresh else self._mirror.records.get(job_id)
        while True:
            known = record if record is not None else await self._read(job_id)
            job = known.copy()
            try:
                result = change(job)
            except Exception as error:
                if record is None:
                    raise _public(error, job_id) from error
                record = None
                continue
            if job.SerializeToString(deterministic=True) == known.data:
                if record is None:
                    return job, result
            else:
                try:
                    await self._store(job, known.revision, before=known.job)
                except _Overtaken:
                    pass
                else:
                    return job, result
            record = None

    async def told(self, job_id: str, *, again: bool = False) -> None:
        """Waits until the event of a job's last change is stored; `again` stores that of its end once more.

        The broker knows it by its id and keeps one.

        Raises UnavailableError.
        """
        record = self._mirror.records.get(job_id)
        telling = self._telling.get(job_id)
        if again and telling is None and record is not None and record.over:
            telling = self._begin_to_tell(record.job, record.data, record.revision)
        if telling is not None:
            await asyncio.shield(telling)

    async def remove(self, job_id: str, check: Callable[[v1.Job], None]) -> bool:
        """Deletes a record that passes `check`, in the state in which it was checked; False if there is none.

        Raises what `check` raises, and UnavailableError.
        """
        while True:
            try:
                record = await self._read(job_id)
            except NotFoundError:
                return False
            check(record.job)
            try:
                await self._mark(job_id, KV_DEL, {names.EXPECTED_REVISION: str(record.revision)})
            except _Overtaken:
                continue
            return True

    async def forget(self, job_id: str) -> None:
        """Takes back a record whose job could not be put into its queue. Raises UnavailableError."""
        await self._mark(job_id, KV_PURGE, {"Nats-Rollup": "sub"})

    async def _store(self, job: v1.Job, revision: int, before: v1.Job | None = None) -> None:
        data = job.SerializeToString(deterministic=True)
        stored = await self._append(job.id, data, {names.EXPECTED_REVISION: str(revision)})
        record = v1.Job()
        record.CopyFrom(job)  # the caller may change its own
        self._mirror.put(record, data, stored)
        if before is None or _stand(before) != _stand(job):
            self._begin_to_tell(record, data, stored)

    def _begin_to_tell(self, job: v1.Job, data: bytes, revision: int) -> asyncio.Task[None]:
        task = asyncio.create_task(self._tell_of(job, data, revision))
        self._telling[job.id] = task
        task.add_done_callback(lambda done: self._has_told(job.id, done))
        return task

    async def _tell_of(self, job: v1.Job, data: bytes, revision: int) -> None:
        try:
            await self._events.append_state(job, data, revision)
        except MeshError as error:
            log.warning("event of a change of state is not stored", job=job.id, reason=error.reason)
            raise

    def _has_told(self, job_id: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # logged above
        if self._telling.get(job_id) is task:
            del self._telling[job_id]

    async def _mark(self, job_id: str, operation: str, headers: dict[str, str]) -> None:
        position = await self._append(job_id, b"", {"KV-Operation": operation, **headers})
        self._mirror.drop(job_id, position)

    async def _append(self, job_id: str, data: bytes, headers: dict[str, str]) -> int:
        with broker_answers():
            try:
                return await self._stream.append(names.ledger_subject(job_id), data, headers)
            except APIError as error:
                if error.err_code in OVERTAKEN:
                    raise _Overtaken from error
                raise

    async def _read(self, job_id: str) -> LedgerRecord:
        record, _ = await self._look_up(job_id) if JOB_ID.fullmatch(job_id) else (None, 0)
        if record is None:
            raise NotFoundError(f"there is no job {quoted(job_id)}; `mistudio jobs list` shows what there is")
        self._mirror.learn(record)
        return record

    async def _look_up(self, job_id: str) -> tuple[LedgerRecord | None, int]:
        """Returns a record and the position of its last message, which may be the mark of its deletion."""
        found = await self._pages.last(names.ledger_subject(job_id))
        if found is None:
            return None, 0
        if found.headers.get("KV-Operation") in (KV_DEL, KV_PURGE):
            return None, found.sequence
        return LedgerRecord.of(v1.Job.FromString(found.data), found.data, found.sequence), found.sequence


def _public(error: Exception, job_id: str) -> Exception:
    return FailedPreconditionError(f"{job_id}: {error}") if isinstance(error, IllegalTransitionError) else error
