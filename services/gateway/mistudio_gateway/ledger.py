"""The job ledger: one record a job, changed by compare-and-set along legal transitions only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar

from nats.aio.client import Client
from nats.js.errors import APIError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from mistudio import v1
from mistudio_gateway.broker_errors import broker_answers
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.live_bucket import LiveBucket
from mistudio_gateway.quoting import quoted
from mistudio_gateway.state_machine import IllegalTransitionError
from mistudio_runtime.errors import FailedPreconditionError, NotFoundError

T = TypeVar("T")
_WRONG_LAST_SEQUENCE = 10071
JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What the broker can have as a key."""


def utc_now() -> datetime:
    """Returns the time as records hold it."""
    return datetime.now(UTC)


def _stand(job: v1.Job) -> tuple[v1.JobState.ValueType, int, int, bool]:
    # A lost attempt and the next one may be one change, which leaves the state as it was.
    return job.state, job.enqueue_count, len(job.attempts), job.finish_requested


class Ledger:
    """What is true of every job. Only gateways write it, and only through `create` and `change`."""

    def __init__(self, client: Client, bucket: KeyValue, events: EventLog) -> None:
        """Takes the bucket and the log that hears of every change of state."""
        self._bucket = bucket
        self._events = events
        self._live = LiveBucket(client, bucket, v1.Job.FromString)

    def tell(self, hear: Callable[[str, v1.Job | None], None]) -> None:
        """Before `start`: has each record told that is new in the mirror, and None for one that has gone."""
        self._live.hear = hear

    async def start(self) -> None:
        """Begins to mirror the bucket for lists."""
        await self._live.start()

    async def stop(self) -> None:
        """Ends the mirror."""
        await self._live.stop()

    def mirror(self) -> Iterable[v1.Job]:
        """Returns all jobs as the mirror has them: for lists and for finding work, never for decisions."""
        return [entry.value for entry in self._live.entries.values()]

    def mirrored(self, job_id: str) -> v1.Job | None:
        """Returns a job as the mirror has it."""
        entry = self._live.entries.get(job_id)
        return entry.value if entry else None

    async def create(self, job: v1.Job) -> bool:
        """Records a new job; returns False if its id is taken. Raises UnavailableError."""
        with broker_answers():
            try:
                revision = await self._bucket.create(job.id, job.SerializeToString())
            except KeyWrongLastSequenceError:
                return False
        self._live.put(job.id, job, revision)
        await self._events.append_state(job, revision, job.update_time.ToDatetime(UTC))
        return True

    async def get(self, job_id: str) -> v1.Job:
        """Reads a job. Raises NotFoundError, UnavailableError."""
        return (await self._read(job_id))[0]

    async def change(self, job_id: str, change: Callable[[v1.Job], T]) -> tuple[v1.Job, T]:
        """Applies `change` to a job and stores the result, again from the start if somebody else was faster.

        An unchanged record is not written. A change of state or a new attempt is an event. Raises what `change` raises
        (an illegal transition as FailedPreconditionError), NotFoundError, UnavailableError.
        """
        while True:
            job, revision = await self._read(job_id)
            before = job.SerializeToString(deterministic=True)
            state = _stand(job)
            try:
                result = change(job)
            except IllegalTransitionError as error:
                raise FailedPreconditionError(f"{job_id}: {error}") from error
            if job.SerializeToString(deterministic=True) == before:
                return job, result
            with broker_answers():
                try:
                    stored = await self._bucket.update(job_id, job.SerializeToString(), last=revision)
                except KeyWrongLastSequenceError:
                    continue
            self._live.put(job_id, job, stored)
            if _stand(job) != state:
                await self._events.append_state(job, stored, utc_now())
            return job, result

    async def remove(self, job_id: str, check: Callable[[v1.Job], None]) -> bool:
        """Deletes a record that passes `check`, in the state in which it was checked; False if there is none.

        Raises what `check` raises, and UnavailableError.
        """
        while True:
            try:
                job, revision = await self._read(job_id)
            except NotFoundError:
                return False
            check(job)
            with broker_answers():
                try:
                    await self._bucket.delete(job_id, last=revision)
                except APIError as error:
                    if error.err_code == _WRONG_LAST_SEQUENCE:
                        continue
                    raise
            self._live.drop(job_id)
            return True

    async def forget(self, job_id: str) -> None:
        """Takes back a record whose job could not be put into its queue."""
        with broker_answers():
            await self._bucket.purge(job_id)

    async def _read(self, job_id: str) -> tuple[v1.Job, int]:
        unknown = NotFoundError(f"there is no job {quoted(job_id)}; `mistudio jobs list` shows what there is")
        if not JOB_ID.fullmatch(job_id):  # the broker has no keys like this, and drops a connection for a very long one
            raise unknown
        with broker_answers():
            try:
                entry = await self._bucket.get(job_id)
            except KeyNotFoundError:
                raise unknown from None
        return v1.Job.FromString(entry.value or b""), entry.revision or 0
