"""Pausing and resuming of queues, and the broker's agreement with what is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from mistudio_gateway.ledger import utc_now
from mistudio_gateway.queues.consumers import QueueConsumers
from mistudio_gateway.queues.pauses import TRUST_SECONDS, Pause, PauseRecord
from mistudio_gateway.quoting import quoted
from mistudio_runtime.errors import InvalidRequestError, NotFoundError, UnavailableError, Violation
from mistudio_runtime.queues import QueueTable
from mistudio_runtime.tasks import end_tasks

log = structlog.get_logger(__name__)

MAX_REASON = 500
_AGREE_SECONDS = 10.0
"""Between two looks at consumers that nobody should have changed."""


class QueueControl:
    """The record decides; consumers follow it, at once and whenever something else has changed them."""

    def __init__(self, table: QueueTable, pauses: PauseRecord, consumers: QueueConsumers) -> None:
        """Takes the queues that there are, the record, and the broker's side of it."""
        self._table = table
        self._pauses = pauses
        self._consumers = consumers
        self._agreeing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look after the consumers."""
        self._task = asyncio.create_task(self._agree_for_ever())

    async def stop(self) -> None:
        """Ends."""
        await end_tasks(self._task)

    async def pause(self, queue: str, reason: str) -> None:
        """Pauses a queue. When this returns, no job of it begins any more, on whichever gateway.

        Repeated, it keeps the time and takes the new reason, if there is one. Raises NotFoundError,
        InvalidRequestError, UnavailableError.
        """
        self._check(queue)
        if len(reason) > MAX_REASON:
            raise InvalidRequestError([Violation("reason", f"is at most {MAX_REASON} characters")])

        def edit(pauses: dict[str, Pause]) -> None:
            before = pauses.get(queue)
            pauses[queue] = Pause(reason or (before.reason if before else ""), before.time if before else utc_now())

        await self._pauses.change(edit)
        stored = time.monotonic()
        await self._agree()
        # By then every gateway has read the record, or reads it before it grants another claim.
        await asyncio.sleep(max(0.0, stored + TRUST_SECONDS - time.monotonic()))

    async def resume(self, queue: str) -> None:
        """Resumes a queue and wakes its workers. Raises NotFoundError, UnavailableError."""
        self._check(queue)

        def edit(pauses: dict[str, Pause]) -> None:
            pauses.pop(queue, None)

        await self._pauses.change(edit)
        await self._agree()

    def _check(self, queue: str) -> None:
        if queue not in self._table.names:
            known = ", ".join(self._table.names)
            raise NotFoundError(f"there is no queue {quoted(queue)}; the queue table has {known}")

    async def _agree_for_ever(self) -> None:
        while True:
            self._pauses.changed.clear()
            try:
                await self._agree()
            except UnavailableError as error:
                log.warning("pauses of queues have to wait", reason=error.reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGREE_SECONDS):
                    await self._pauses.changed.wait()

    async def _agree(self) -> None:
        async with self._agreeing:
            looked_at = -1
            while looked_at != self._pauses.revision:  # it may change meanwhile, on another gateway
                looked_at = self._pauses.revision
                await self._consumers.agree(self._pauses.all)
                await self._pauses.refresh()
