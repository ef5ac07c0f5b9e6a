"""A job's message, held by a worker until its fate is decided."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from datetime import timedelta

import nats.errors
import structlog
from nats.aio.msg import Msg

from mistudio_runtime.broker import names

log = structlog.get_logger(__name__)

_KEEPS_PER_WAIT = 3
_ACK_TRIES = 5
_COUNT = re.compile(r"[0-9]{1,9}")


class MessageKeeper:
    """Keeps held messages from being delivered elsewhere: one task of the worker's loop, which no job can block."""

    def __init__(self, ack_wait: float) -> None:
        """Takes the consumers' ack_wait, in seconds."""
        self._interval = ack_wait / _KEEPS_PER_WAIT
        self._held: set[HeldMessage] = set()

    def hold(self, message: Msg) -> HeldMessage:
        """Begins to keep a message."""
        held = HeldMessage(message, self)
        self._held.add(held)
        return held

    def release(self, held: HeldMessage) -> None:
        """Ends the keeping of a message."""
        self._held.discard(held)

    async def run(self) -> None:
        """Keeps for ever. A short job's message is never touched."""
        while True:
            await asyncio.sleep(self._interval / 2)
            due = time.monotonic() - self._interval / 2
            for held in [held for held in self._held if held.kept <= due]:
                await held.keep()


class HeldMessage:
    """One message. It is acknowledged or given back, and released in the end."""

    def __init__(self, message: Msg, keeper: MessageKeeper) -> None:
        """Takes the message and who keeps it."""
        self.job_id = names.job_of_subject(message.subject)
        count = (message.headers or {}).get(names.ENQUEUE_COUNT, "")
        self.enqueue_count = int(count) if _COUNT.fullmatch(count) else 0  # a stranger's message: its claim is dropped
        self.kept = time.monotonic()
        """When the broker last heard that it is held."""
        self._message = message
        self._keeper = keeper

    async def acknowledge(self) -> None:
        """Removes the message for good, with the server's confirmation.

        If the server does not answer, the message comes again and the ledger says that it is to be dropped.
        """
        for _ in range(_ACK_TRIES):
            try:
                await self._message.ack_sync()
            except nats.errors.TimeoutError:
                continue
            except (nats.errors.MsgAlreadyAckdError, nats.errors.Error) as error:
                log.warning("message not acknowledged", job=self.job_id, kind=type(error).__name__)
            return

    async def give_back(self, delay: timedelta) -> None:
        """Has the message delivered again after a delay; if that fails it is when ack_wait has passed."""
        with contextlib.suppress(nats.errors.Error):
            await self._message.nak(delay=max(delay.total_seconds(), 0.0) or None)

    def release(self) -> None:
        """Ends the keeping."""
        self._keeper.release(self)

    async def keep(self) -> None:
        """Says that it is still held."""
        self.kept = time.monotonic()
        with contextlib.suppress(nats.errors.Error):
            await self._message.in_progress()
