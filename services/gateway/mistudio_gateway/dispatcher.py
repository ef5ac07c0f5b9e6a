"""Puts jobs into their queues: the messages that workers pull."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import timedelta

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from mistudio import v1
from mistudio_gateway.batching import BatchedStream
from mistudio_gateway.broker_errors import NO_ANSWER, broker_answers
from mistudio_runtime.broker import names
from mistudio_runtime.errors import ExhaustedError, UnavailableError

_STREAM_FULL = 10077
_TRIES = 3
_RETRY_AFTER = timedelta(seconds=10)
_LIST_SECONDS = 30.0
"""For a page of up to 100,000 subjects."""


class Dispatcher:
    """The messages of the stream JOBS. A message is a pointer; the ledger decides what it is worth."""

    def __init__(self, client: Client, js: JetStreamContext) -> None:
        """Takes the connection."""
        self._client = client
        self._js = js
        self._stream = BatchedStream(client)
        self._wakes: dict[str, set[int]] = {}
        """Queue to priorities of messages that its workers have not been told of."""
        self._waking: set[asyncio.Task[None]] = set()

    async def enqueue(self, job: v1.Job, *, lost: bool = False) -> None:
        """Stores the job's message and wakes the workers of its queue; a repetition stores nothing twice.

        Unless its message was `lost`: the broker may remember that it had it. A second one is dropped by its claim.
        Raises ExhaustedError if the queues are full, UnavailableError if the broker does not answer.
        """
        with broker_answers():
            await self._publish(job, lost=lost)
        self._wake_soon(job)

    def _wake_soon(self, job: v1.Job) -> None:
        """Wakes the workers once for all messages that were stored together."""
        if not self._wakes:
            asyncio.get_running_loop().call_soon(self._wake_all)
        self._wakes.setdefault(job.queue, set()).add(job.priority)

    def _wake_all(self) -> None:
        wakes, self._wakes = self._wakes, {}
        task = asyncio.create_task(self._publish_wakes(wakes))
        self._waking.add(task)
        task.add_done_callback(self._waking.discard)

    async def _publish_wakes(self, wakes: dict[str, set[int]]) -> None:
        with contextlib.suppress(nats.errors.Error):  # without it they look within a second
            for queue, priorities in wakes.items():
                await self._client.publish(names.wake_subject(queue), names.wake_payload(priorities))

    async def wake(self, queue: str) -> None:
        """Tells the workers of a queue to look."""
        with broker_answers():
            await self._client.publish(names.wake_subject(queue))

    async def remove(self, job: v1.Job) -> None:
        """Removes whatever messages the job has."""
        with broker_answers():
            await self._js.purge_stream(names.JOBS_STREAM, subject=_subject(job))

    async def has_message(self, job: v1.Job) -> bool:
        """Tells whether a job has a message."""
        with broker_answers():
            try:
                await self._js.get_last_msg(names.JOBS_STREAM, _subject(job))
            except NotFoundError:
                return False
        return True

    async def remove_leftover(self, job: v1.Job) -> bool:
        """Removes a message that a job which is over still has, unless it was put back meanwhile; True if it had one.

        A broker that is killed while it takes out an acknowledged message may keep it, and never hand it out again.
        """
        with broker_answers():
            try:
                message = await self._js.get_last_msg(names.JOBS_STREAM, _subject(job))
                if int((message.headers or {}).get(names.ENQUEUE_COUNT, 0)) > job.enqueue_count or message.seq is None:
                    return False
                return await self._js.delete_msg(names.JOBS_STREAM, message.seq)
            except NotFoundError:
                return False

    async def replace_unreachable(self, job: v1.Job) -> bool:
        """Gives a job another message if the broker never hands out the one that it has; True if it did.

        An acknowledgement that came late, of an attempt that was lost, may have been cut short as in `remove_leftover`:
        the broker then keeps the message among those that are done with.
        """
        with broker_answers():
            try:
                message = await self._js.get_last_msg(names.JOBS_STREAM, _subject(job))
                consumer = await self._js.consumer_info(names.JOBS_STREAM, names.consumer(job.queue, job.priority))
            except NotFoundError:
                return False
            done_with = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
            if message.seq is None or message.seq > done_with:
                return False
            await self._publish(job, lost=True)
            await self._js.delete_msg(names.JOBS_STREAM, message.seq)
        self._wake_soon(job)
        return True

    async def enqueued_jobs(self) -> set[str]:
        """Returns the ids of all jobs that have a message; it may miss some where others are taken out meanwhile."""
        found: set[str] = set()
        offset, total = 0, 1
        while offset < total:
            subjects, total = await self._subjects(offset)
            found.update(map(names.job_of_subject, subjects))
            offset += len(subjects) or total  # what was taken out meanwhile may leave the last page empty
        return found

    async def _subjects(self, offset: int) -> tuple[list[str], int]:
        """Returns a page of the stream's subjects, and how many there are: the client's own call reads one page."""
        request = json.dumps({"subjects_filter": names.ALL_JOBS, "offset": offset}).encode()
        with broker_answers():
            message = await self._client.request(
                f"$JS.API.STREAM.INFO.{names.JOBS_STREAM}", request, timeout=_LIST_SECONDS
            )
        answer = json.loads(message.data)
        if "error" in answer:
            raise UnavailableError("the message broker cannot list its messages now; try again in a moment")
        return list(answer["state"].get("subjects") or {}), int(answer.get("total", 0))

    async def _publish(self, job: v1.Job, *, lost: bool) -> None:
        # A lost message is made again by whichever gateway misses it first, and by no other.
        again = f".{job.update_time.ToNanoseconds()}" if lost else ""
        age = job.create_time.ToMicroseconds()  # a request_id gives the same id again when its job was deleted
        headers = {
            names.ENQUEUE_COUNT: str(job.enqueue_count),
            names.MESSAGE_ID: f"{job.id}.{age}.{job.enqueue_count}{again}",
        }
        for left in reversed(range(_TRIES)):
            try:
                await self._stream.append(_subject(job), b"", headers)
            except (APIError, *NO_ANSWER) as error:
                # Before all else: the client calls a full stream a service that is not available.
                if isinstance(error, APIError) and error.err_code == _STREAM_FULL:
                    raise ExhaustedError(
                        "the queues are full; try again when some jobs have run", retry_after=_RETRY_AFTER
                    ) from error
                # It may be stored all the same: the deduplication id makes the repetition harmless.
                if not (left and isinstance(error, NO_ANSWER)):
                    raise
                await asyncio.sleep(0)
            else:
                return


def _subject(job: v1.Job) -> str:
    return names.job_subject(job.queue, job.priority, job.id)
