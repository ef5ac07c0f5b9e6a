"""Which queues are paused: one record in the broker, which every gateway knows within a moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from nats.aio.client import Client
from nats.js.errors import KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KeyValue

from mistudio_gateway.broker_errors import broker_answers
from mistudio_runtime.broker import names
from mistudio_runtime.errors import UnavailableError
from mistudio_runtime.tasks import end_tasks

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.25
TRUST_SECONDS = 0.75
"""What was read longer ago is read again before a job may begin, so a pause is certain to hold after this time."""


@dataclass(frozen=True)
class Pause:
    """Why a queue is paused, and since when."""

    reason: str
    time: datetime

    @property
    def sentence(self) -> str:
        """Since when and why, to follow "is paused"."""
        return f"since {self.time:%Y-%m-%d %H:%M} UTC" + (f" ({self.reason})" if self.reason else "")


Pauses = Mapping[str, Pause]
"""Queue to pause."""


class PauseRecord:
    """The pauses as they were read last, a quarter of a second ago or less while the broker answers.

    A push by the broker would be as quick, but would not tell a gateway that was stopped for a while that it is behind.
    """

    def __init__(self, client: Client, bucket: KeyValue) -> None:
        """Takes where the record lies."""
        self.revision = 0
        """Grows with each change of the record."""
        self.changed = asyncio.Event()
        """Set when the record has changed, whoever did it."""
        self._client = client
        self._js = client.jetstream()
        self._bucket = bucket
        self._stream = names.bucket_stream(names.QUEUES_BUCKET)
        self._subject = f"$KV.{names.QUEUES_BUCKET}.{names.PAUSES_KEY}"
        self._pauses: Pauses = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._nudged = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to look; returns when the record has been read."""
        await self._client.subscribe(names.PAUSES_CHANGED, cb=self._on_nudge)
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._look_for_ever(ready))
        await ready.wait()

    async def stop(self) -> None:
        """Ends."""
        await end_tasks(self._task)

    def find(self, queue: str) -> Pause | None:
        """Returns why a queue is paused, as read last."""
        return self._pauses.get(queue)

    @property
    def all(self) -> Pauses:
        """All pauses, as read last."""
        return self._pauses

    @property
    def are_fresh(self) -> bool:
        """Whether the record was read less than TRUST_SECONDS ago."""
        return time.monotonic() - self._read_at < TRUST_SECONDS

    async def is_open(self, queue: str) -> bool:
        """Tells for certain whether a queue was not paused TRUST_SECONDS ago. Raises UnavailableError."""
        async with self._reading:
            if not self.are_fresh:
                await self._read()
        return queue not in self._pauses

    async def refresh(self) -> None:
        """Reads the record now. Raises UnavailableError."""
        async with self._reading:
            await self._read()

    async def change(self, edit: Callable[[dict[str, Pause]], None]) -> None:
        """Stores the pauses as `edit` leaves them, and tells the other gateways. Raises UnavailableError."""
        while True:
            await self.refresh()
            wanted = dict(self._pauses)
            edit(wanted)
            if wanted == self._pauses or await self._store(wanted):
                break
        with broker_answers():
            await self._client.publish(names.PAUSES_CHANGED)

    async def _store(self, wanted: Pauses) -> bool:
        with broker_answers():
            try:
                revision = await self._bucket.update(names.PAUSES_KEY, _encoded(wanted), last=self.revision)
            except KeyWrongLastSequenceError:
                return False  # another gateway was faster
        self._take(wanted, revision)
        return True

    async def _read(self) -> None:
        began = time.monotonic()
        with broker_answers(), contextlib.suppress(NotFoundError):  # unless a queue was paused once, there is none
            # From the stream's leader: any server of a cluster would answer a bucket's own, direct get.
            message = await self._js.get_last_msg(self._stream, self._subject)
            self._take(_decoded(message.data or b"{}", self._pauses), message.seq or 0)
        self._read_at = began

    def _take(self, pauses: Pauses, revision: int) -> None:
        if revision > self.revision:  # an answer may overtake a later one
            self._pauses, self.revision = pauses, revision
            self.changed.set()

    async def _on_nudge(self, _: object) -> None:
        self._nudged.set()

    async def _look_for_ever(self, ready: asyncio.Event) -> None:
        while True:
            self._nudged.clear()
            with contextlib.suppress(UnavailableError):
                await self.refresh()
                ready.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._nudged.wait()


def _encoded(pauses: Pauses) -> bytes:
    document = {queue: {"reason": pause.reason, "time": pause.time.isoformat()} for queue, pause in pauses.items()}
    return json.dumps(document).encode()


def _decoded(data: bytes, before: Pauses) -> Pauses:
    try:
        document = json.loads(data)
        return {
            queue: Pause(str(row["reason"]), datetime.fromisoformat(row["time"]).astimezone(UTC))
            for queue, row in document.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        log.error("the record of paused queues cannot be read", key=names.PAUSES_KEY)  # noqa: TRY400 - no trace helps
        return before
