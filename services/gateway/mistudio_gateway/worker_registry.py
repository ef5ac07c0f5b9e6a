"""Which workers are alive, as every gateway knows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from nats.aio.client import Client
from nats.js.errors import APIError, KeyNotFoundError
from nats.js.kv import KeyValue

from mistudio import v1
from mistudio_gateway.batching import BatchedStream
from mistudio_gateway.broker_errors import broker_answers
from mistudio_gateway.live_bucket import Entry, LiveBucket
from mistudio_gateway.quoting import quoted
from mistudio_runtime.broker import names
from mistudio_runtime.errors import NotFoundError, UnavailableError

_LOOK_SECONDS = 0.05


class WorkerRegistry:
    """Workers' records, written at each heartbeat by the gateway that a worker is attached to."""

    def __init__(self, client: Client, bucket: KeyValue, lease_seconds: float) -> None:
        """Takes the bucket and how long a record counts after it was last written."""
        self._bucket = bucket
        self._stream = BatchedStream(client)
        self._refused = float("-inf")
        """When, by time.monotonic(), a record could last not be stored."""
        self._live = LiveBucket(client, bucket, v1.WorkerStatus.FromString)
        self._lease = lease_seconds

    async def start(self) -> None:
        """Begins to mirror the bucket."""
        await self._live.start()

    async def stop(self) -> None:
        """Ends the mirror."""
        await self._live.stop()

    @property
    def steady_since(self) -> float:
        """Since when, by time.monotonic(), workers could show themselves without a break; now, if they cannot."""
        return max(self._live.steady_since, self._refused)

    async def put(self, status: v1.WorkerStatus) -> None:
        """Stores that a worker is alive. Raises UnavailableError."""
        status.last_seen_time.GetCurrentTime()
        subject = names.bucket_subject(names.WORKERS_BUCKET, _key(status.worker.name))
        try:
            with broker_answers():
                revision = await self._stream.append(subject, status.SerializeToString())
        except (UnavailableError, APIError):
            self._refused = time.monotonic()  # e.g. a full disk: records expire though their workers live
            raise
        self._live.put(_key(status.worker.name), status, revision)

    async def remove(self, name: str) -> None:
        """Forgets a worker that said goodbye."""
        with broker_answers():
            try:
                await self._bucket.purge(_key(name))
            except KeyNotFoundError:
                return

    def alive(self) -> list[v1.WorkerStatus]:
        """Returns the workers that were heard of lately, by name."""
        fresh = [entry for entry in self._live.entries.values() if self._fresh(entry)]
        return sorted((entry.value for entry in fresh), key=lambda status: status.worker.name)

    def find(self, name: str) -> v1.WorkerStatus | None:
        """Returns a live worker."""
        entry = self._live.entries.get(_key(name))
        return entry.value if entry and self._fresh(entry) else None

    def expires_in(self, name: str) -> float:
        """Returns for how many more seconds a worker counts as alive if it shows no sign of life; 0 if it does not."""
        entry = self._live.entries.get(_key(name))
        return max(0.0, self._age_limit(entry) - time.monotonic()) if entry else 0.0

    def get(self, name: str) -> v1.WorkerStatus:
        """Returns a live worker. Raises NotFoundError."""
        if (status := self.find(name)) is None:
            raise NotFoundError(f"there is no worker {quoted(name)}; `mistudio workers` shows who is attached")
        return status

    async def settled(
        self, before: v1.WorkerStatus, holds: Callable[[v1.WorkerStatus], bool], within_seconds: float
    ) -> v1.WorkerStatus:
        """Waits until a worker reports that something holds; returns it as it then stands, or after that time."""
        for _ in range(round(within_seconds / _LOOK_SECONDS)):
            status = self.find(before.worker.name)
            if status is None or holds(status):
                return status or before
            await asyncio.sleep(_LOOK_SECONDS)
        return before

    def serving(self, queue: str) -> list[v1.WorkerStatus]:
        """Returns the live workers that serve a queue and take new jobs."""
        return [status for status in self.alive() if not status.draining and serves(status, queue)]

    def runs(self, worker: str, job_id: str, attempt: int) -> bool:
        """Tells whether a live worker reports that it runs an attempt."""
        status = self.find(worker)
        return status is not None and any(
            running.job_id == job_id and running.attempt == attempt for running in status.running
        )

    def _fresh(self, entry: Entry[v1.WorkerStatus]) -> bool:
        return time.monotonic() < self._age_limit(entry)

    def _age_limit(self, entry: Entry[v1.WorkerStatus]) -> float:
        # While records cannot be renewed nobody's silence means anything.
        return max(entry.received, self.steady_since) + self._lease


def serves(status: v1.WorkerStatus, queue: str) -> bool:
    """Tells whether a worker serves a queue."""
    return any(served.queue == queue for served in status.worker.queues)


def free_slots(status: v1.WorkerStatus, queue: str) -> int:
    """Returns how many more jobs of a queue a worker could run now."""
    return max(0, slots_of(status, queue) - sum(running.queue == queue for running in status.running))


def slots_of(status: v1.WorkerStatus, queue: str) -> int:
    """Returns how many jobs of a queue a worker runs at a time."""
    return sum(served.slots for served in status.worker.queues if served.queue == queue)


def _key(name: str) -> str:
    return name.replace("@", "/")  # bucket keys hold no "@"
