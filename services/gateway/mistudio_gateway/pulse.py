"""Whether a bucket answers, and whether the watch of it still moves."""

from __future__ import annotations

import json
import time
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client

from mistudio_runtime.broker import names

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks."""
_PROMPT_SECONDS = 2.0
_OVERDUE_SECONDS = LOOK_SECONDS + _PROMPT_SECONDS + 0.5
"""A look that comes so late was held up with everything else in this process."""


class Pulse:
    """Knows since when a bucket could be written and followed without a break.

    A watch is silently dead when the server that fed it has gone, though the connection leads to another one; and
    while a bucket has no leader nobody's records can be renewed, however alive they are.
    """

    def __init__(self, client: Client, bucket: str) -> None:
        """Takes the connection and the bucket's name."""
        self.lost = False
        """Whether the watch is dead and has to be opened again."""
        self._client = client
        self._stream = names.bucket_stream(bucket)
        self._steady_since = self._looked = time.monotonic()
        self._reconnects = client.stats["reconnects"]
        self._seen = self._seen_before = self._expected = 0

    @property
    def steady_since(self) -> float:
        """Since when, by time.monotonic(), nothing was interrupted; now, if something is."""
        now = time.monotonic()
        interrupted = now - self._looked > _OVERDUE_SECONDS or self._client.stats["reconnects"] != self._reconnects
        return now if interrupted else self._steady_since

    async def open(self) -> None:
        """Begins anew, before a watch is opened."""
        self.lost = False
        self._seen = self._seen_before = self._expected = await self._last_revision() or 0
        self._interrupt()

    def delivered(self, revision: int) -> None:
        """Notes what the watch delivered."""
        self._seen = max(self._seen, revision)

    async def look(self) -> None:
        """Compares the bucket's last revision with what the watch delivered; at most once a second."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        steady = self.steady_since <= self._looked
        last = await self._last_revision()
        # Behind alone is no sign: where much is written every watch is.
        if self._seen < self._expected and self._seen == self._seen_before:
            log.warning("bucket watch delivers nothing more; opening it again", stream=self._stream)
            self.lost = True
        if last is None or self.lost or not steady:
            self._interrupt()
        else:
            self._seen_before, self._expected = self._seen, last
        self._looked = time.monotonic()

    def _interrupt(self) -> None:
        self._reconnects = self._client.stats["reconnects"]
        self._steady_since = self._looked = time.monotonic()

    async def _last_revision(self) -> int | None:
        try:
            answer = await self._client.request(f"$JS.API.STREAM.INFO.{self._stream}", timeout=_PROMPT_SECONDS)
        except nats.errors.Error:
            return None
        document: dict[str, Any] = json.loads(answer.data)
        return int(document["state"]["last_seq"]) if "state" in document else None
