"""A job's message, held by a worker until its fate is decided."""

from __future__ import annotations

import asyncio
import contextlib
import re
from datetime import timedelta

import nats.errors
import structlog
from nats.aio.msg import Msg

from mistudio_runtime.broker import names

log = structlog.get_logger(__name__)

_KEEPS_PER_WAIT = 3
_ACK_TRIES = 5
_COUNT = re.compile(r"[0-9]{1,9}")


class HeldMessage:
    """Keeps a message from being delivered elsewhere while the block runs; then it is acknowledged or given back.

    The keeping is a task of the worker's loop, which no job computes on, so no job can block it.
    """

    def __init__(self, message: Msg, ack_wait: float) -> None:
        """Takes the message and the consumer's ack_wait, in seconds."""
        self.job_id = names.job_of_subject(message.subject)
        count = (message.headers or {}).get(names.ENQUEUE_COUNT, "")
        self.enqueue_count = int(count) if _COUNT.fullmatch(count) else 0  # a stranger's message: its claim is dropped
        self._message = message
        self._interval = ack_wait / _KEEPS_PER_WAIT
        self._keeping = asyncio.create_task(self._keep())

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

    async def release(self) -> None:
        """Ends the keeping."""
        self._keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeping

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            with contextlib.suppress(nats.errors.Error):
                await self._message.in_progress()
