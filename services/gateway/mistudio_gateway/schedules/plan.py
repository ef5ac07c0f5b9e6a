"""The schedules of the table: what the broker holds is made to agree with it, and people ask and change."""

from __future__ import annotations

import asyncio
from datetime import datetime

import structlog

from mistudio import v1
from mistudio_gateway.ledger import utc_now
from mistudio_gateway.quoting import quoted
from mistudio_gateway.schedules.clock import BrokerClock
from mistudio_gateway.schedules.records import ScheduleRecords
from mistudio_gateway.submission import Submission
from mistudio_runtime.errors import FailedPreconditionError, NotFoundError
from mistudio_runtime.schedules import ScheduleRow, ScheduleTable

log = structlog.get_logger(__name__)


class Schedules:
    """What clients see of schedules. Each method raises UnavailableError if the broker does not answer."""

    def __init__(
        self, table: ScheduleTable, clock: BrokerClock, records: ScheduleRecords, submission: Submission, refusal: str
    ) -> None:
        """Takes the parts, and one sentence that says why the broker can hold no schedules, or ""."""
        self._table = table
        self._clock = clock
        self._records = records
        self._submission = submission
        self._refusal = refusal

    @property
    def possible(self) -> bool:
        """Whether the broker can hold schedules."""
        return not self._refusal

    async def agree(self) -> None:
        """Makes broker and records agree with the table: what is new or changed is armed, what is gone vanishes."""
        for name in (await self._clock.all_names() | await self._records.names()) - self._table.keys():
            await self._clock.disarm(name)
            await self._records.forget(name)
            log.info("schedule is no longer in the table", schedule=name)
        for row in self._table.values():
            await self._agree(row)

    async def list(self) -> list[v1.Schedule]:
        """Returns the schedules in the order of the table. Raises FailedPreconditionError if there can be none."""
        self._require_broker()
        return await asyncio.gather(*(self._view(row) for row in self._table.values()))

    async def pause(self, name: str) -> v1.Schedule:
        """Stops a schedule until it is resumed. Raises NotFoundError, FailedPreconditionError."""
        row = self._row(name)

        def change(record: v1.Schedule) -> None:
            if not record.paused:
                record.paused = True
                record.pause_time.FromDatetime(utc_now())

        # The record comes first: what comes due before it is disarmed finds that it is paused.
        await self._records.change(name, change)
        await self._clock.disarm(name)
        return await self._view(row)

    async def resume(self, name: str) -> v1.Schedule:
        """Lets a schedule go on with its next time. Raises NotFoundError, FailedPreconditionError."""
        row = self._row(name)
        if (await self._records.get(name)).paused:
            await self._records.change(name, _unpause)
            await self._clock.arm(armed_for(row, await self._clock.now()))
        return await self._view(row)

    async def run(self, name: str, request_id: str) -> v1.Job:
        """Submits a schedule's job now. Raises NotFoundError and what submission raises."""
        if name not in self._table:
            raise _unknown(name)
        job = await self._submission.submit(self._table[name].job, request_id)
        await self._records.change(name, lambda record: note_job(record, job))
        return job

    async def _agree(self, row: ScheduleRow) -> None:
        if (await self._records.get(row.name)).paused:
            await self._clock.disarm(row.name)
            return
        there = await self._clock.armed(row.name)
        if there is None or (there.every, there.time_zone) != (row.recurrence.every, row.recurrence.time_zone):
            await self._clock.arm(armed_for(row, await self._clock.now()))

    async def _view(self, row: ScheduleRow) -> v1.Schedule:
        view, armed = await asyncio.gather(self._records.get(row.name), self._clock.armed(row.name))
        view.name, view.description = row.name, row.description
        view.every, view.time_zone = row.recurrence.every, row.recurrence.time_zone
        view.job.CopyFrom(row.job)
        if armed and not view.paused:
            view.next_time.CopyFrom(armed.next_time)
        return view

    def _row(self, name: str) -> ScheduleRow:
        self._require_broker()
        if name not in self._table:
            raise _unknown(name)
        return self._table[name]

    def _require_broker(self) -> None:
        if self._refusal:
            raise FailedPreconditionError(self._refusal)


def armed_for(row: ScheduleRow, now: datetime, last: datetime | None = None) -> v1.Schedule:
    """Returns what is armed for the first time after now; those of "@every" are counted from the `last` one."""
    armed = v1.Schedule(name=row.name, every=row.recurrence.every, time_zone=row.recurrence.time_zone)
    armed.next_time.FromDatetime(row.recurrence.after(now, last))
    return armed


def note_job(record: v1.Schedule, job: v1.Job) -> None:
    """Writes down which job was submitted last."""
    record.last_job_id, record.last_problem = job.id, ""
    record.last_time.CopyFrom(job.create_time)


def _unpause(record: v1.Schedule) -> None:
    record.paused = False
    record.ClearField("pause_time")


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"there is no schedule {quoted(name)}; `mistudio schedules` shows what there is")
