"""One message from pull to acknowledgement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Protocol

import structlog

from mistudio import v1
from mistudio_runtime.jobs import Stop
from mistudio_runtime.jobs.failures import JobFailure
from mistudio_runtime.worker.isolated import Report
from mistudio_runtime.worker.limited import limited
from mistudio_runtime.worker.message import HeldMessage
from mistudio_runtime.worker.outcome import failure_of
from mistudio_runtime.worker.session import WorkerSession

log = structlog.get_logger(__name__)

_STOPS = {v1.ATTEMPT_COMMAND_CANCEL: Stop.CANCEL, v1.ATTEMPT_COMMAND_PAUSE: Stop.PAUSE}
_MOST_PAUSE_SECONDS = 1.0
_ABANDONED_DELAY = timedelta(seconds=1)


class Run(Protocol):
    """A job that runs, in a process or a thread."""

    async def run(self, report: Report) -> v1.AttemptEnd:
        """Runs the job to its end."""

    def stop(self, stop: Stop, grace: float) -> None:
        """Asks the job to stop, harder after `grace` seconds."""

    def kill(self) -> None:
        """Ends the job at once."""


MakeRun = Callable[[v1.ClaimAnswer], Run]


class Attempt:
    """Claims a message's job, runs it, and lets go of the message when the ledger has the end."""

    def __init__(
        self, queue: str, message: HeldMessage, session: WorkerSession, make_run: MakeRun, stop_grace: float
    ) -> None:
        """Takes the message, and what makes a run of the job that it leads to."""
        self.queue = queue
        self.job_id = message.job_id
        self.number = 0
        """The attempt's number, once the claim is granted."""
        self.kind = ""
        self.device = ""
        """The device that it holds, if it holds one."""
        self._message = message
        self._session = session
        self._make_run = make_run
        self._grace = stop_grace
        self._run: Run | None = None
        self._stop: Stop | None = None
        self._abandoned = False
        self.over: Callable[[], None] = lambda: None
        """Is called when the job runs no more and holds nothing, though the ledger has not heard of it yet."""
        self._settlement: Callable[[], Awaitable[None]] | None = None

    async def process(self) -> v1.Job | None:
        """Claims the job and runs it until the ledger has its end; returns the job if it has succeeded here.

        The message is still held then: `settle` is to follow, and is all that is left to do if this raised.
        """
        answer = await self._session.claim(v1.Claim(job_id=self.job_id, enqueue_count=self._message.enqueue_count))
        if answer.verdict == v1.CLAIM_VERDICT_GRANTED:
            return await self._run_claimed(answer)
        log.info("claim refused", job=self.job_id, reason=answer.reason)
        if answer.verdict == v1.CLAIM_VERDICT_DROP:
            self._settlement = self._message.acknowledge
        else:
            delay = answer.delay.ToTimedelta()
            await self._message.give_back(delay)
            # Its slot stays taken for a while: a queue full of jobs that wait would be asked for one after the other.
            await asyncio.sleep(0.9 * min(delay.total_seconds(), _MOST_PAUSE_SECONDS))
        return None

    async def settle(self) -> None:
        """Acknowledges the message or gives it back, and lets go of it."""
        try:
            if self._settlement is not None:
                await self._settlement()
        finally:
            self._message.release()

    def running(self, rss_bytes: int) -> v1.RunningAttempt:
        """Returns what the mesh is told of it while it runs, with the resident memory of its process."""
        return v1.RunningAttempt(
            job_id=self.job_id,
            kind=self.kind,
            attempt=self.number,
            queue=self.queue,
            device=self.device,
            rss_bytes=rss_bytes,
        )

    def command(self, command: v1.AttemptCommand.ValueType) -> None:
        """Obeys the gateway."""
        if command == v1.ATTEMPT_COMMAND_ABANDON:
            self._abandoned = True
            if self._run is not None:
                self._run.kill()
        elif command == v1.ATTEMPT_COMMAND_FINISH:
            if self._run is not None:  # else it is told again
                self._run.stop(Stop.FINISH, self._grace)
        elif command in _STOPS:
            self.stop(_STOPS[command])

    def stop(self, stop: Stop) -> None:
        """Asks the job to stop, now or as soon as it runs."""
        self._stop = stop
        if self._run is not None:
            self._run.stop(stop, self._grace)

    async def _run_claimed(self, answer: v1.ClaimAnswer) -> v1.Job | None:
        self.number, self.kind, self.device = answer.attempt, answer.job.kind, answer.device
        log.info("job begins", job=self.job_id, kind=answer.job.kind, attempt=self.number)
        end = await self._run_to_its_end(answer)
        if not self.device:  # else the next job would only wait for the device, until the ledger has freed it
            self.over()
        outcome = v1.AttemptOutcome.Name(end.outcome).removeprefix("ATTEMPT_OUTCOME_")
        log.info("job ends", job=self.job_id, attempt=self.number, outcome=outcome, reason=end.failure.reason)
        if self._abandoned:
            self._settlement = partial(self._message.give_back, _ABANDONED_DELAY)
            return None
        ended = await self._session.end(end)
        if ended.HasField("redeliver_after"):
            self._settlement = partial(self._message.give_back, ended.redeliver_after.ToTimedelta())
        elif ended.current:
            self._settlement = self._message.acknowledge
        # A stale attempt must not remove the message: it belongs to the attempt that has taken its place.
        succeeded = ended.current and end.outcome == v1.ATTEMPT_OUTCOME_SUCCEEDED
        return answer.job if succeeded else None

    async def _run_to_its_end(self, answer: v1.ClaimAnswer) -> v1.AttemptEnd:
        try:
            self._run = limited(self._make_run(answer), answer.job, self.number, self._grace)
        except JobFailure as failure:
            return v1.AttemptEnd(
                job_id=self.job_id, attempt=self.number, outcome=v1.ATTEMPT_OUTCOME_FAILED, failure=failure_of(failure)
            )
        if self._stop is not None:
            self._run.stop(self._stop, self._grace)
        try:
            return await self._run.run(self._session.report)
        finally:
            self._run = None  # what comes now comes too late for it
