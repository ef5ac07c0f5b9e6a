"""From a message that has come due to a job."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import structlog
from nats.aio.msg import Msg

from mistudio import v1
from mistudio_gateway.broker_errors import NO_ANSWER
from mistudio_gateway.job_ids import job_id
from mistudio_gateway.ledger import Ledger
from mistudio_gateway.schedules.clock import BrokerClock
from mistudio_gateway.schedules.plan import armed_for, note_job
from mistudio_gateway.schedules.records import ScheduleRecords
from mistudio_gateway.state_machine import is_terminal, state_name
from mistudio_gateway.submission import Submission
from mistudio_runtime.errors import ConflictError, ExhaustedError, MeshError, NotFoundError, UnavailableError
from mistudio_runtime.schedules import ScheduleRow, ScheduleTable

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 5.0
"""What cannot be submitted now is tried again after so long."""


class Firing:
    """Submits the job of a time, arms the next time, and only then acknowledges the message.

    The job's request_id is made from the schedule and the time, so that a message that is delivered again, to this
    gateway or to another one, means the same job.
    """

    def __init__(
        self,
        table: ScheduleTable,
        clock: BrokerClock,
        records: ScheduleRecords,
        submission: Submission,
        ledger: Ledger,
    ) -> None:
        """Takes the parts."""
        self._table = table
        self._clock = clock
        self._records = records
        self._submission = submission
        self._ledger = ledger

    async def hear(self, message: Msg) -> None:
        """Takes one delivery; what fails is delivered again."""
        with suppress(*NO_ANSWER):
            try:
                await self._fire(v1.Schedule.FromString(message.data))
            except (UnavailableError, ExhaustedError) as error:
                log.warning("schedule has to wait", subject=message.subject, reason=error.reason)
                await message.nak(delay=AGAIN_SECONDS)
            except Exception:  # the boundary of one message
                log.exception("schedule cannot be run", subject=message.subject)
                await message.nak(delay=AGAIN_SECONDS)
            else:
                await message.ack_sync()

    async def _fire(self, due: v1.Schedule) -> None:
        row = self._table.get(due.name)
        record = await self._records.get(due.name)
        if row is None or record.paused:
            return
        at = due.next_time.ToDatetime(UTC)
        record = await self._submit(row, record, at)
        if not record.paused:
            # What passed while nobody was there is made up for by this one job: the next time is after now.
            await self._clock.arm(armed_for(row, max(at, await self._clock.now()), last=at))

    async def _submit(self, row: ScheduleRow, record: v1.Schedule, at: datetime) -> v1.Schedule:
        try:
            job = await self._job(row, record, at)
        except UnavailableError:
            raise
        except MeshError as error:
            sentence = f"At {at:%Y-%m-%d %H:%M:%S} UTC no job was submitted: {error.message}."
            log.warning("schedule submits no job", schedule=row.name, reason=error.reason)
            record = await self._records.change(row.name, lambda record: _note_problem(record, sentence))
            if isinstance(error, ExhaustedError):
                raise
            return record
        log.info("schedule submitted a job", schedule=row.name, job=job.id)
        return await self._records.change(row.name, lambda record: note_job(record, job))

    async def _job(self, row: ScheduleRow, record: v1.Schedule, at: datetime) -> v1.Job:
        request_id = f"schedule {row.name} {at.isoformat()}"
        own = job_id(request_id)
        if record.last_job_id != own:
            await self._require_end(record.last_job_id)
        try:
            return await self._submission.submit(row.job, request_id)
        except ConflictError:  # another gateway was faster, with another table
            return await self._ledger.get(own)

    async def _require_end(self, previous: str) -> None:
        try:
            job = await self._ledger.get(previous)
        except NotFoundError:
            return
        if not is_terminal(job):
            raise _StillThereError(f"{previous} of the time before is still {state_name(job.state)}")


class _StillThereError(MeshError):
    reason = "STILL_THERE"


def _note_problem(record: v1.Schedule, sentence: str) -> None:
    record.last_problem = sentence
