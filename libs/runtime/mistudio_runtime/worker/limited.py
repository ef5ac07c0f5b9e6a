"""What a job's record asks of an attempt from its beginning: a limit of its running time, or to finish at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from mistudio import v1
from mistudio_runtime.jobs import Stop
from mistudio_runtime.worker.isolated import TERMINATE_SECONDS

log = structlog.get_logger(__name__)

TIMEOUT = "TIMEOUT"
_KILL_SECONDS = 2.0
"""Within which a process that was killed has ended."""
Report = Callable[[v1.AttemptReport], Awaitable[None]]


class _Run(Protocol):
    async def run(self, report: Report) -> v1.AttemptEnd: ...

    def stop(self, stop: Stop, grace: float) -> None: ...

    def kill(self) -> None: ...


def limited(run: _Run, job: v1.Job, attempt: int, grace: float) -> _Run:
    """Returns what runs the job as its record asks; `grace` is how long it has to stop, in seconds."""
    if job.finish_requested:
        run.stop(Stop.FINISH, grace)
    return LimitedRun(run, job, attempt, grace) if job.HasField("timeout") else run


class LimitedRun:
    """A run that fails with TIMEOUT when it takes longer than its job's timeout, by this worker's own clock.

    It is asked to pause first, so that what it has done is kept in a checkpoint; after the grace its process is
    ended. A thread cannot be: its attempt is over all the same, and what it still does is done in vain.
    """

    def __init__(self, run: _Run, job: v1.Job, attempt: int, grace: float) -> None:
        """Takes the run, and how long it has to stop, in seconds."""
        self._run = run
        self._job = job
        self._attempt = attempt
        self._grace = grace
        self._asked: Stop | None = None
        self._passed = False
        self._given_up = asyncio.Event()

    async def run(self, report: Report) -> v1.AttemptEnd:
        """Runs the job to its end, or to its limit."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._job.timeout.ToTimedelta().total_seconds(), self._pass)
        giving_up = asyncio.create_task(self._given_up.wait())
        running = asyncio.ensure_future(self._run.run(self._while_it_counts(report)))
        try:
            await asyncio.wait({running, giving_up}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            running.cancel()
            await asyncio.wait({running})  # until its process is cleared away
            raise
        finally:
            timer.cancel()
            giving_up.cancel()
        return self._judged(running.result() if running.done() else None)

    def stop(self, stop: Stop, grace: float) -> None:
        """Asks the job to stop, or to finish."""
        if stop is not Stop.FINISH:
            self._asked = stop
        self._run.stop(stop, grace)

    def kill(self) -> None:
        """Ends the job at once."""
        self._run.kill()

    def _while_it_counts(self, report: Report) -> Report:
        async def pass_on(message: v1.AttemptReport) -> None:
            if not self._given_up.is_set():
                await report(message)

        return pass_on

    def _pass(self) -> None:
        if self._asked is not None:
            return  # it is about to end as it is
        log.warning("job ran into its timeout", job=self._job.id, attempt=self._attempt)
        self._passed = True
        self._run.stop(Stop.PAUSE, self._grace)
        last = self._grace + TERMINATE_SECONDS + _KILL_SECONDS
        asyncio.get_running_loop().call_later(last, self._given_up.set)

    def _judged(self, end: v1.AttemptEnd | None) -> v1.AttemptEnd:
        if end is not None and not self._passed:
            return end
        cancelled = self._asked is Stop.CANCEL
        if end is not None and (end.outcome == v1.ATTEMPT_OUTCOME_SUCCEEDED or cancelled):
            return end  # it was faster
        over = v1.AttemptEnd(job_id=self._job.id, attempt=self._attempt, outcome=v1.ATTEMPT_OUTCOME_FAILED)
        over.failure.reason = TIMEOUT
        over.failure.failure_class = v1.FAILURE_CLASS_PERMANENT
        over.failure.message = (
            f"the attempt took longer than its timeout of {self._job.timeout.ToTimedelta()}: `mistudio jobs retry "
            f"{self._job.id} --timeout …` goes on with another one, from the last checkpoint if its kind has them"
        )
        return over
