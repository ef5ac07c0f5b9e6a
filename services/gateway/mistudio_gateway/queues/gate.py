"""Whether a queued job may begin: not while its queue is paused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from mistudio import v1
from mistudio_gateway.queues.pauses import PauseRecord
from mistudio_runtime.errors import UnavailableError

PAUSED_DELAY = timedelta(seconds=1)
"""A refused message is given back for so long; the broker keeps it anyway while its queue is paused."""
_AGAIN_SECONDS = 0.2


class ClaimGate:
    """Asked before a claim is stored, and again after: then no job begins once PauseQueue has been answered.

    Between looking and storing a gateway may stand still for any time. What counts is that the pauses were read less
    than TRUST_SECONDS before the claim was seen to be stored, and that PauseQueue answers that long after its write.
    """

    def __init__(self, pauses: PauseRecord) -> None:
        """Takes the record of paused queues."""
        self._pauses = pauses

    async def settle(self, job: v1.Job | None) -> None:
        """Reads the pauses anew if they are old, or if the job's queue seems paused: it may just have been resumed."""
        if not self._pauses.are_fresh or (job is not None and self.is_closed(job.queue)):
            await self._pauses.refresh()

    def is_closed(self, queue: str) -> bool:
        """Tells whether a queue is paused, as read last."""
        return self._pauses.find(queue) is not None

    async def holds(self, answer: v1.ClaimAnswer, began: datetime) -> bool:
        """Tells whether the answer to a claim that was handled since `began` may be given.

        An attempt that is older is only told of again, and goes on. Waits for a broker that is away.
        """
        if answer.verdict != v1.CLAIM_VERDICT_GRANTED or answer.job.attempts[-1].start_time.ToDatetime(UTC) < began:
            return True
        while True:
            try:
                return await self._pauses.is_open(answer.job.queue)
            except UnavailableError:
                await asyncio.sleep(_AGAIN_SECONDS)
