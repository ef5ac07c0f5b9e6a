"""What workers say of attempts: claims, reports and ends, fenced by the attempt's number."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from mistudio import v1
from mistudio_gateway import state_machine
from mistudio_gateway.attempt_ages import AttemptAges
from mistudio_gateway.deadlines import deadline_failure
from mistudio_gateway.device_leases import DeviceLeases, Hold, Need
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.queues.gate import PAUSED_DELAY, ClaimGate
from mistudio_gateway.timestamps import set_to_now
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.errors import FailedPreconditionError, NotFoundError

_LEDGER_PROGRESS_SECONDS = 2.0
_AFTER_EXPIRY_SECONDS = 0.1
"""A message comes again when its worker, if it has vanished, no longer counts as alive."""
Refusal = tuple["v1.ClaimVerdict.ValueType", str, timedelta]


class Attempts:
    """The ledger's side of the worker session. Every method may be repeated with the same arguments."""

    def __init__(
        self,
        ledger: Ledger,
        events: EventLog,
        registry: WorkerRegistry,
        *,
        job_ended: Callable[[], None],
        lease_seconds: float,
        devices: DeviceLeases,
        ages: AttemptAges,
        gate: ClaimGate,
    ) -> None:
        """Takes whom to tell that a job ended, and how long a worker counts as alive after its last sign."""
        self._devices = devices
        self._ages = ages
        self._gate = gate
        self._ledger = ledger
        self._events = events
        self._registry = registry
        self._job_ended = job_ended
        self._lease = timedelta(seconds=lease_seconds)
        self._progress_stored: dict[str, float] = {}

    async def claim(self, worker: str, claim: v1.Claim) -> v1.ClaimAnswer:
        """Grants the job under a new attempt, or says what to do with the message instead."""
        began = utc_now()
        await self._gate.settle(self._ledger.mirrored(claim.job_id))
        answer = await self._devices.claim(partial(self._claim, worker, claim))
        return answer if await self._gate.holds(answer, began) else await self._take_back(answer)

    async def _take_back(self, granted: v1.ClaimAnswer) -> v1.ClaimAnswer:
        """Undoes a claim that was stored after its queue had been paused; its worker never hears of it."""

        def change(job: v1.Job) -> None:
            if _is_current(job, granted.attempt):
                state_machine.release(job, granted.attempt, utc_now())

        job, _ = await self._ledger.change(granted.job.id, change)
        await self._devices.end(job, granted.attempt)
        return _later("its queue was paused meanwhile", PAUSED_DELAY)

    async def _claim(self, worker: str, claim: v1.Claim, hold: Hold | None) -> v1.ClaimAnswer | Need:
        def change(job: v1.Job) -> Refusal | Need | None:
            if refusal := _too_late(job) or self._refuse(job, worker, claim.enqueue_count):
                return refusal
            if job.state == v1.JOB_STATE_RUNNING:
                if job.attempts[-1].worker == worker and self._ages.is_young(job):
                    return None  # the answer to its first claim got lost
                state_machine.lose(job, utc_now())
                if job.state != v1.JOB_STATE_QUEUED:
                    return v1.CLAIM_VERDICT_DROP, "no attempts are left", timedelta(0)
            if obstacle := self._obstacle(job, worker, hold):
                return obstacle
            state_machine.claim(job, worker, utc_now())
            job.attempts[-1].device = hold.device if hold else ""
            return None

        try:
            job, refusal = await self._ledger.change(claim.job_id, change)
        except NotFoundError:
            return v1.ClaimAnswer(verdict=v1.CLAIM_VERDICT_DROP, reason="there is no such job")
        if isinstance(refusal, Need):
            return refusal
        if refusal:
            self._tell_end(job)
            verdict, reason, delay = refusal
            answer = v1.ClaimAnswer(verdict=verdict, reason=reason)
            answer.delay.FromTimedelta(delay)
            return answer
        current = job.attempts[-1]
        self._ages.is_young(job)  # from now on its age counts
        return v1.ClaimAnswer(verdict=v1.CLAIM_VERDICT_GRANTED, job=job, attempt=current.number, device=current.device)

    def _obstacle(self, job: v1.Job, worker: str, hold: Hold | None) -> Refusal | Need | None:
        if self._gate.is_closed(job.queue):
            return v1.CLAIM_VERDICT_LATER, "its queue is paused", PAUSED_DELAY
        return self._devices.need(job, worker, hold)

    def _tell_end(self, job: v1.Job) -> None:
        if state_machine.is_terminal(job):
            self._job_ended()

    def _refuse(self, job: v1.Job, worker: str, enqueue_count: int) -> Refusal | None:
        if enqueue_count != job.enqueue_count:
            return v1.CLAIM_VERDICT_DROP, "the job was put into its queue again", timedelta(0)
        if job.state == v1.JOB_STATE_QUEUED:
            wait = job.not_before.ToDatetime(UTC) - utc_now() if job.HasField("not_before") else timedelta(0)
            return (v1.CLAIM_VERDICT_LATER, "it backs off after a failure", wait) if wait > timedelta(0) else None
        if job.state not in state_machine.ACTIVE:
            return v1.CLAIM_VERDICT_DROP, f"it is {state_machine.state_name(job.state)}", timedelta(0)
        if job.attempts[-1].worker != worker and self._is_run(job):
            left = self._registry.expires_in(job.attempts[-1].worker) + _AFTER_EXPIRY_SECONDS
            return v1.CLAIM_VERDICT_LATER, "another worker runs it", timedelta(seconds=left)
        if job.state != v1.JOB_STATE_RUNNING:
            return v1.CLAIM_VERDICT_LATER, "it is being stopped", self._lease
        return None

    def _is_run(self, job: v1.Job) -> bool:
        attempt = job.attempts[-1]
        if self._registry.runs(attempt.worker, job.id, attempt.number):
            return True
        return self._ages.is_young(job) and self._registry.find(attempt.worker) is not None

    async def report(self, worker: str, message_id: int, report: v1.AttemptReport) -> bool:
        """Stores what a running attempt says; returns False if it is not the current one."""
        if not await self._is_of_current(report):
            return False
        event = v1.JobEvent(job_id=report.job_id, attempt=report.attempt)
        set_to_now(event.time)
        which = report.WhichOneof("report")
        if which == "progress":
            event.progress.CopyFrom(report.progress)
        elif which == "metric":
            event.metric.CopyFrom(report.metric)
        else:
            event.log.CopyFrom(report.log)
        try:
            await self._events.append(event, deduplication_id=f"{worker}.{message_id}")
        except FailedPreconditionError:
            return False
        if which == "progress":
            await self._store_progress(report)
        return True

    async def _is_of_current(self, report: v1.AttemptReport) -> bool:
        job = self._ledger.mirrored(report.job_id)
        if job is not None and _is_current(job, report.attempt):
            return True
        return await self.is_current(report.job_id, report.attempt)  # the mirror may be behind

    async def is_current(self, job_id: str, attempt: int) -> bool:
        """Tells whether an attempt is its job's current one and not over, as the ledger itself has it."""
        try:
            return _is_current(await self._ledger.get(job_id), attempt)
        except NotFoundError:
            return False

    async def _store_progress(self, report: v1.AttemptReport) -> None:
        now = time.monotonic()
        if now - self._progress_stored.get(report.job_id, 0.0) < _LEDGER_PROGRESS_SECONDS:
            return
        self._progress_stored[report.job_id] = now

        def change(job: v1.Job) -> None:
            forward = report.progress.fraction >= job.progress.fraction
            if forward and _is_current(job, report.attempt):
                job.progress.CopyFrom(report.progress)

        await self._ledger.change(report.job_id, change)

    async def end(self, end: v1.AttemptEnd) -> v1.AttemptEnded:
        """Stores how an attempt ended and says what becomes of its message."""
        said_before = False

        def change(job: v1.Job) -> bool:
            nonlocal said_before
            if said_before := not _is_current(job, end.attempt):
                # The answer got lost. Anything else is stale.
                return end.attempt == state_machine.current_attempt(job) and bool(job.attempts[-1].outcome)
            _apply_end(job, end, utc_now())
            return True

        try:
            job, current = await self._ledger.change(end.job_id, change)
        except NotFoundError:
            return v1.AttemptEnded(current=False)
        self._progress_stored.pop(end.job_id, None)
        await self._devices.end(job, end.attempt)
        self._tell_end(job)
        if current and state_machine.is_terminal(job):
            # Who wrote the end may have been killed before it could tell: the worker repeats it until it is answered.
            await self._ledger.told(job.id, again=said_before)
        answer = v1.AttemptEnded(current=current)
        if job.state == v1.JOB_STATE_QUEUED and current:
            until = job.not_before.ToDatetime(UTC) - utc_now() if job.HasField("not_before") else timedelta(0)
            answer.redeliver_after.FromTimedelta(max(until, timedelta(0)))
        return answer

    def orders(self, running: v1.RunningAttempt) -> v1.CommandAttempt | None:
        """Returns what the ledger wants of an attempt that a worker says it runs, if it is not to go on."""
        job = self._ledger.mirrored(running.job_id)
        if job is None:
            return None
        wanted = {
            v1.JOB_STATE_CANCELLING: v1.ATTEMPT_COMMAND_CANCEL,
            v1.JOB_STATE_PAUSING: v1.ATTEMPT_COMMAND_PAUSE,
        }
        current = state_machine.current_attempt(job)
        if running.attempt > current:
            return None  # the mirror is behind
        if running.attempt < current or job.state not in state_machine.ACTIVE:
            command = v1.ATTEMPT_COMMAND_ABANDON
        elif job.state in wanted:
            command = wanted[job.state]
        elif job.finish_requested:
            command = v1.ATTEMPT_COMMAND_FINISH
        else:
            return None
        return v1.CommandAttempt(job_id=running.job_id, attempt=running.attempt, command=command)


def _later(reason: str, delay: timedelta) -> v1.ClaimAnswer:
    answer = v1.ClaimAnswer(verdict=v1.CLAIM_VERDICT_LATER, reason=reason)
    answer.delay.FromTimedelta(delay)
    return answer


def _too_late(job: v1.Job) -> Refusal | None:
    """Fails a job whose time to start has passed: the reconciler may not have looked yet."""
    failure = deadline_failure(job, utc_now())
    if failure is None:
        return None
    state_machine.fail_unstarted(job, failure, utc_now())
    return v1.CLAIM_VERDICT_DROP, failure.message, timedelta(0)


def _is_current(job: v1.Job, attempt: int) -> bool:
    return job.state in state_machine.ACTIVE and attempt == state_machine.current_attempt(job)


def _apply_end(job: v1.Job, end: v1.AttemptEnd, now: datetime) -> None:
    if end.outcome == v1.ATTEMPT_OUTCOME_SUCCEEDED:
        state_machine.succeed(job, end.attempt, end.artifact_ids, now)
    elif end.outcome == v1.ATTEMPT_OUTCOME_FAILED:
        state_machine.fail(job, end.attempt, end.failure, now)
    elif end.outcome == v1.ATTEMPT_OUTCOME_RELEASED:
        state_machine.release(job, end.attempt, now)
    else:
        state_machine.stop(job, end.attempt, end.outcome, now)
