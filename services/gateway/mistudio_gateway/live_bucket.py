"""A bucket's current content in memory, kept so by a watch that survives the broker's restarts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import nats.errors
import structlog
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.js.kv import KV_DEL, KV_PURGE, KeyValue

from mistudio_gateway.broker_errors import NO_ANSWER
from mistudio_gateway.pulse import Pulse
from mistudio_runtime.tasks import end_tasks

log = structlog.get_logger(__name__)

_LOOK_UP_SECONDS = 1.0
T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A record as the watch delivered it."""

    value: T
    revision: int
    received: float
    """time.monotonic() of this gateway."""


class LiveBucket(Generic[T]):
    """`entries` mirrors a bucket. Reads are as old as the watch is slow: decide by compare-and-set, not by these."""

    def __init__(self, client: Client, bucket: KeyValue, decode: Callable[[bytes], T]) -> None:
        """Takes how to read a record."""
        self.entries: dict[str, Entry[T]] = {}
        self.hear: Callable[[str, T | None], None] = lambda _key, _value: None
        """Is called with each record that is new in `entries`, and with None for one that has gone."""
        self._client = client
        self._bucket = bucket
        self._decode = decode
        self._ready = asyncio.Event()
        self._pulse = Pulse(client, bucket._name)  # noqa: SLF001 - a bucket tells its name only by a request
        self._task: asyncio.Task[None] | None = None

    @property
    def steady_since(self) -> float:
        """Since when, by time.monotonic(), the bucket has been followed without a break; now, if it is not."""
        return self._pulse.steady_since

    async def start(self) -> None:
        """Begins to watch; returns when the present content is there."""
        self._task = asyncio.create_task(self._watch_for_ever())
        await self._ready.wait()

    async def stop(self) -> None:
        """Ends the watch."""
        await end_tasks(self._task)

    def put(self, key: str, value: T, revision: int) -> None:
        """Takes over what this gateway itself has just written, so that it reads its own writes."""
        known = self.entries.get(key)
        if known is None or known.revision < revision:
            self.entries[key] = Entry(value, revision, time.monotonic())
            self.hear(key, value)

    def drop(self, key: str) -> None:
        """Forgets what this gateway itself has just deleted."""
        if self.entries.pop(key, None) is not None:
            self.hear(key, None)

    async def _watch_for_ever(self) -> None:
        while True:
            try:
                await self._watch_until_reconnect()
            except nats.errors.Error as error:
                log.warning("bucket watch interrupted; opening it again", kind=type(error).__name__)
                await asyncio.sleep(_LOOK_UP_SECONDS / 2)

    async def _watch_until_reconnect(self) -> None:
        connection = self._client.stats["reconnects"]
        await self._pulse.open()
        watcher: Any = await self._bucket.watchall()  # its methods carry no types
        seen: set[str] = set()
        try:
            # A watch is silently dead after the broker restarted: look whether the connection is still the same one.
            while self._client.stats["reconnects"] == connection and not self._pulse.lost:
                await self._pulse.look()
                with contextlib.suppress(nats.errors.TimeoutError):
                    entry = await watcher.updates(timeout=_LOOK_UP_SECONDS)
                    if entry is None:
                        self._forget_others(seen)
                        self._ready.set()
                    else:
                        seen.add(entry.key)
                        self._pulse.delivered(entry.revision or 0)
                        self._take(entry)
        finally:
            with contextlib.suppress(*NO_ANSWER, nats.errors.BadSubscriptionError):
                await watcher.stop()

    def _take(self, entry: KeyValue.Entry) -> None:
        if entry.operation in (KV_DEL, KV_PURGE):
            self.drop(entry.key)
            return
        try:
            self.put(entry.key, self._decode(entry.value or b""), entry.revision or 0)
        except DecodeError:
            log.error("record cannot be read", key=entry.key)  # noqa: TRY400 - the record matters, not the trace

    def _forget_others(self, seen: set[str]) -> None:
        for key in self.entries.keys() - seen:
            self.drop(key)
