"""Behind which change of its job's state an attempt may still write into the event log."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from mistudio import v1
from mistudio_gateway import state_machine
from mistudio_runtime.broker import names
from mistudio_runtime.errors import FailedPreconditionError

_MOST = 50_000
"""Jobs that are remembered; of another one the broker is asked again."""
StillCurrent = Callable[[str, int], Awaitable[bool]]


class AttemptFences:
    """Lets the broker refuse what an attempt says once its job's state has changed.

    A gateway may stand still, or be cut off, between its look at the ledger and its write: what it then writes late
    must not be stored behind the state that ended the attempt. So each write names the last change of state that it
    knows of, and the broker compares.
    """

    def __init__(self, last_change: Callable[[str], Awaitable[int]]) -> None:
        """Takes what asks the broker for the position of a job's last change of state, 0 if none is stored."""
        self._last_change = last_change
        self._known: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Job to attempt and position."""
        self._telling: dict[str, asyncio.Event] = {}
        self.still_current: StillCurrent | None = None
        """Whether an attempt is its job's current one, asked of the ledger itself; without it nothing is fenced."""

    def begin(self, job_id: str) -> asyncio.Event:
        """A change of state is about to be stored: what its attempt says next comes behind it."""
        self._known.pop(job_id, None)
        told = self._telling[job_id] = asyncio.Event()
        return told

    def end(self, job: v1.Job, told: asyncio.Event, sequence: int | None) -> None:
        """The change is stored at a position, or it is unknown whether it is."""
        told.set()
        if self._telling.get(job.id) is told:
            del self._telling[job.id]
            if sequence is not None and job.state in state_machine.ACTIVE:
                self._remember(job.id, state_machine.current_attempt(job), sequence)

    def forget(self, job_id: str) -> None:
        """What was known turned out to be old."""
        self._known.pop(job_id, None)

    async def headers(self, job_id: str, attempt: int) -> dict[str, str]:
        """Returns what a write of an attempt has to carry. Raises FailedPreconditionError if it is not current."""
        if self.still_current is None:
            return {}
        while told := self._telling.get(job_id):
            await told.wait()
        known = self._known.get(job_id)
        if known is None or known[0] != attempt:
            # In this order: a change after the look at the ledger is stored behind the position that was read.
            sequence = await self._last_change(job_id)
            if not await self.still_current(job_id, attempt):
                raise FailedPreconditionError(f"{job_id}: attempt {attempt} is over")
            known = self._remember(job_id, attempt, sequence)
        subject = names.event_subject(job_id)
        return {names.EXPECTED_REVISION: str(known[1]), names.EXPECTED_REVISION_OF: subject}

    def _remember(self, job_id: str, attempt: int, sequence: int) -> tuple[int, int]:
        self._known[job_id] = attempt, sequence
        self._known.move_to_end(job_id)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return attempt, sequence
