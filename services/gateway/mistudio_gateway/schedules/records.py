"""What is known of each schedule beside the table, kept over restarts."""

from __future__ import annotations

from collections.abc import Callable

from nats.aio.client import Client
from nats.js.errors import KeyWrongLastSequenceError, NoKeysError
from nats.js.kv import KeyValue

from mistudio import v1
from mistudio_gateway.broker_errors import broker_answers
from mistudio_gateway.stream_pages import StreamPages
from mistudio_runtime.broker import names


class ScheduleRecords:
    """One record a schedule: whether it is paused, and how its last time went. Each method raises UnavailableError."""

    def __init__(self, client: Client, bucket: KeyValue) -> None:
        """Takes the bucket."""
        self._bucket = bucket
        self._pages = StreamPages(client, names.bucket_stream(names.SCHEDULES_BUCKET), "")

    async def get(self, name: str) -> v1.Schedule:
        """Reads a record, or returns an empty one."""
        return (await self._read(name))[0]

    async def change(self, name: str, change: Callable[[v1.Schedule], None]) -> v1.Schedule:
        """Applies `change` and stores the result, again from the start if another gateway was faster."""
        while True:
            record, revision = await self._read(name)
            before = record.SerializeToString(deterministic=True)
            change(record)
            if record.SerializeToString(deterministic=True) == before:
                return record
            with broker_answers():
                try:
                    if revision:
                        await self._bucket.update(name, record.SerializeToString(), last=revision)
                    else:
                        await self._bucket.create(name, record.SerializeToString())
                except KeyWrongLastSequenceError:
                    continue
            return record

    async def forget(self, name: str) -> None:
        """Deletes a record."""
        with broker_answers():
            await self._bucket.purge(name)

    async def names(self) -> set[str]:
        """Returns the schedules that have a record."""
        with broker_answers():
            try:
                return set(await self._bucket.keys())
            except NoKeysError:
                return set()

    async def _read(self, name: str) -> tuple[v1.Schedule, int]:
        # From the stream's leader: any server of a cluster would answer the bucket's own get, and may be behind.
        found = await self._pages.last(names.bucket_subject(names.SCHEDULES_BUCKET, name))
        if found is None or "KV-Operation" in found.headers:
            return v1.Schedule(name=name), 0
        return v1.Schedule.FromString(found.data), found.sequence
