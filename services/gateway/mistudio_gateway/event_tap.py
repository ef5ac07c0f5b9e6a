"""Every new event of the whole stream, in order and without gaps, while somebody wants them."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import nats.errors
import structlog
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from mistudio_gateway.broker_errors import NO_ANSWER
from mistudio_gateway.stored_event import StoredEvent
from mistudio_runtime.broker import names

log = structlog.get_logger(__name__)

_HEARTBEAT_SECONDS = 1.0
_SILENT_SECONDS = 3.5
"""After so long without even a heartbeat the consumer is no more."""
_FORGOTTEN_SECONDS = 10.0
"""After which the broker removes a consumer that nobody reads."""
_ASK_SECONDS = 5.0
_NANO = 1_000_000_000
_STREAM_SEQUENCE, _CONSUMER_SEQUENCE = 5, 6
"""Tokens of a delivered message's reply subject; a broker with domains puts two more before them."""
_TOKENS = 9
Hear = Callable[[str, StoredEvent], None]


class EventTap:
    """One short-lived consumer after the other; each goes on after the last event that was heard."""

    def __init__(self, client: Client, wants: Callable[[str], bool], hear: Hear) -> None:
        """Takes whether a job's events are wanted, and what hears of them, as the job's id and the event."""
        self._client = client
        self._wants = wants
        self._hear = hear
        self._position: int | None = None
        self._consumer: _Consumer | None = None

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._consumer is not None

    async def open(self) -> None:
        """Begins to listen: every event that is stored after this returns will be heard. Raises the client's errors."""
        if self._consumer is None:
            self._consumer = consumer = _Consumer(self._client, self._take)
            try:
                began_at = await consumer.start(self._position)
            except BaseException:
                await self._drop()
                raise
            if self._position is None:
                self._position = began_at

    async def check(self) -> None:
        """Goes on with a new consumer if the old one may have missed something; to be called each second.

        Raises the client's errors.
        """
        if self._consumer is not None and not self._consumer.is_sound():
            log.info("events are heard anew", after=self._position)
            await self._drop()
            await self.open()

    async def close(self) -> None:
        """Ends listening; the next `open` begins with what is new then."""
        await self._drop()
        self._position = None

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    def _take(self, message: Msg, sequence: int) -> None:
        self._position = sequence
        job_id = names.job_of_subject(message.subject)
        if self._wants(job_id):
            try:
                self._hear(job_id, StoredEvent.of_message(message.subject, message.data, sequence))
            except (DecodeError, KeyError):
                log.error("event cannot be read", sequence=sequence)  # noqa: TRY400 - the event matters, not the trace


class _Consumer:
    """An ephemeral consumer in the broker's memory, and how far it has delivered."""

    def __init__(self, client: Client, take: Callable[[Msg, int], None]) -> None:
        self._client = client
        self._take = take
        self._subscription: Subscription | None = None
        self._connection = client.stats["reconnects"]
        self._delivered = 0
        self._missed = False
        self._heard = time.monotonic()

    async def start(self, position: int | None) -> int:
        """Begins after a position, or with what is new; returns after which. Raises the client's errors."""
        inbox = self._client.new_inbox()
        # There is no limit to set: the broker waits where flow control is not answered.
        self._subscription = await self._client.subscribe(
            inbox, cb=self._on_message, pending_msgs_limit=0, pending_bytes_limit=0
        )
        request = {"stream_name": names.EVENTS_STREAM, "config": _configuration(inbox, position)}
        answer = await self._client.request(
            f"$JS.API.CONSUMER.CREATE.{names.EVENTS_STREAM}", json.dumps(request).encode(), timeout=_ASK_SECONDS
        )
        created = json.loads(answer.data)
        if "error" in created:  # the stream has no leader now
            raise nats.errors.NoRespondersError
        return int(created["delivered"]["stream_seq"])

    async def stop(self) -> None:
        """Ends it; the broker forgets it by itself."""
        self._missed = True
        if self._subscription is not None:
            with contextlib.suppress(*NO_ANSWER, nats.errors.BadSubscriptionError):
                await self._subscription.unsubscribe()

    def is_sound(self) -> bool:
        """Returns False if it may have missed something."""
        silent = time.monotonic() - self._heard > _SILENT_SECONDS
        return not (self._missed or silent or self._connection != self._client.stats["reconnects"])

    async def _on_message(self, message: Msg) -> None:
        self._heard = time.monotonic()
        if self._missed:
            return
        if message.headers and message.headers.get("Status"):
            await self._on_status(message)
            return
        tokens = message.reply.split(".")
        behind = 0 if len(tokens) == _TOKENS else 2
        if int(tokens[_CONSUMER_SEQUENCE + behind]) != self._delivered + 1:
            self._missed = True
            return
        self._delivered += 1
        self._take(message, int(tokens[_STREAM_SEQUENCE + behind]))

    async def _on_status(self, message: Msg) -> None:
        headers = message.headers or {}
        if int(headers.get("Nats-Last-Consumer", self._delivered)) != self._delivered:
            self._missed = True
        if answer_to := message.reply or headers.get("Nats-Consumer-Stalled"):  # flow control: all before is handled
            await self._client.publish(answer_to)


def _configuration(inbox: str, position: int | None) -> dict[str, Any]:
    begin: dict[str, Any] = {"deliver_policy": "new"}
    if position is not None:
        begin = {"deliver_policy": "by_start_sequence", "opt_start_seq": position + 1}
    return {
        **begin,
        "deliver_subject": inbox,
        "ack_policy": "none",
        "max_deliver": 1,
        "mem_storage": True,
        "num_replicas": 1,
        "flow_control": True,
        "idle_heartbeat": int(_HEARTBEAT_SECONDS * _NANO),
        "inactive_threshold": int(_FORGOTTEN_SECONDS * _NANO),
    }
