"""Deletes what the mesh knows of jobs that have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nats.js import JetStreamContext

from mistudio import v1
from mistudio_gateway.broker_errors import broker_answers
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.ledger import JOB_ID, Ledger
from mistudio_gateway.state_machine import is_terminal, state_name
from mistudio_runtime.broker import names
from mistudio_runtime.errors import FailedPreconditionError, InvalidRequestError, Violation

MAX_JOBS = 1_000
_AT_A_TIME = 32
_NAMED = 10
"""So many reasons are told; who has mended these hears of the rest."""


class JobDeletion:
    """Removes records, events and messages; artifacts stay."""

    def __init__(self, ledger: Ledger, dispatcher: Dispatcher, js: JetStreamContext) -> None:
        """Takes where something of a job may be."""
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._js = js

    async def delete(self, job_ids: Sequence[str]) -> int:
        """Deletes jobs and returns how many records there were. May be repeated: a job that there is not is no error.

        Raises FailedPreconditionError, with nothing deleted, if one has not ended or an unfinished job needs it;
        InvalidRequestError for too many, UnavailableError.
        """
        if not 0 < len(job_ids) <= MAX_JOBS:
            raise InvalidRequestError([Violation("job_ids", f"name 1 to {MAX_JOBS} jobs")])
        possible = {job_id for job_id in job_ids if JOB_ID.fullmatch(job_id)}
        self._refuse_unless_over(possible)
        at_a_time = asyncio.Semaphore(_AT_A_TIME)

        async def delete(job_id: str) -> bool:
            async with at_a_time:
                return await self._delete(job_id)

        return sum(await asyncio.gather(*map(delete, sorted(possible))))

    def _refuse_unless_over(self, job_ids: set[str]) -> None:
        reasons, named = [], set()
        for job in self._ledger.unfinished():
            needed = job_ids.intersection(job.depends_on)
            if job.id in job_ids:
                reasons.append(f"{job.id} is {state_name(job.state)}")
                named.add(job.id)
            elif needed:
                reasons.append(f"{job.id} ({state_name(job.state)}) needs {', '.join(sorted(needed))}")
                named |= needed
        if reasons:
            more = f" and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
            raise FailedPreconditionError(
                f"nothing was deleted: {'; '.join(sorted(reasons)[:_NAMED])}{more}. Cancel or wait for these first",
                metadata={"jobs": ",".join(sorted(named)[:_NAMED])},
            )

    async def _delete(self, job_id: str) -> bool:
        subject = self._ledger.mirrored(job_id)

        def check(job: v1.Job) -> None:
            nonlocal subject
            subject = job
            if not is_terminal(job):
                raise FailedPreconditionError(f"{job.id} was put back meanwhile: it is {state_name(job.state)}")

        # The record goes first, for it decides; a crash after it leaves what a repeated call removes.
        deleted = await self._ledger.remove(job_id, check)
        if subject is not None:
            await self._dispatcher.remove(subject)
        await self._ledger.told(job_id)  # else its last event would come after the others have gone
        with broker_answers():
            await self._js.purge_stream(names.EVENTS_STREAM, subject=f"mistudio.*.{job_id}")
        return deleted
