"""What people ask of recorded jobs: cancel, pause, resume, finish."""

from __future__ import annotations

from collections.abc import Callable

from mistudio import v1
from mistudio_gateway import state_machine
from mistudio_gateway.commands import Commands
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.withdrawal import withdraw
from mistudio_runtime.errors import FailedPreconditionError
from mistudio_runtime.jobs.finishing import CAN_FINISH


class JobControl:
    """Changes of state by request. Each raises NotFoundError, FailedPreconditionError or UnavailableError."""

    def __init__(
        self, ledger: Ledger, dispatcher: Dispatcher, commands: Commands, job_ended: Callable[[], None]
    ) -> None:
        """Takes the ledger, the ways to queues and workers, and whom to tell that a job ended."""
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._commands = commands
        self._job_ended = job_ended

    async def cancel(self, job_id: str) -> v1.Job:
        """Cancels: queued, it never starts; running, its worker is told."""
        job, _ = await self._ledger.change(job_id, lambda job: state_machine.request_cancel(job, utc_now()))
        await self._stop(job, v1.ATTEMPT_COMMAND_CANCEL)
        return job

    async def pause(self, job_id: str) -> v1.Job:
        """Pauses: queued, it leaves its queue; running, its worker is told. Takes back a request to finish."""
        job, _ = await self._ledger.change(job_id, lambda job: state_machine.request_pause(job, utc_now()))
        await self._stop(job, v1.ATTEMPT_COMMAND_PAUSE)
        return job

    async def resume(self, job_id: str) -> v1.Job:
        """Puts a paused job back into its queue."""

        def change(job: v1.Job) -> None:
            if reason := _no_resume(job):
                raise FailedPreconditionError(f"{job.id} {reason}")
            state_machine.enqueue(job, utc_now())

        job, _ = await self._ledger.change(job_id, change)
        await self._dispatcher.enqueue(job)
        return job

    async def finish(self, job_id: str) -> v1.Job:
        """Asks a running job to keep what it has and end; a paused one is queued again to do so from its checkpoint.

        An attempt that gets lost, or is drained, on the way is followed by one that finishes at once. A later cancel
        counts more, and a later pause takes the request back.
        """

        def change(job: v1.Job) -> bool:
            if reason := _no_finish(job):
                raise FailedPreconditionError(f"{job.id} {reason}")
            was_paused = job.state == v1.JOB_STATE_PAUSED
            state_machine.request_finish(job, utc_now())
            return was_paused

        job, was_paused = await self._ledger.change(job_id, change)
        if was_paused:
            await self._dispatcher.enqueue(job)
        elif job.state == v1.JOB_STATE_RUNNING:
            await self._commands.to_attempt(job, v1.ATTEMPT_COMMAND_FINISH)
        return job

    async def _stop(self, job: v1.Job, command: v1.AttemptCommand.ValueType) -> None:
        if job.state in state_machine.ACTIVE:
            await self._commands.to_attempt(job, command)
        else:
            await withdraw(self._ledger, self._dispatcher, job)
            self._job_ended()


def _no_resume(job: v1.Job) -> str:
    """Returns why a job cannot be resumed now; "" if it can."""
    if job.state == v1.JOB_STATE_PAUSED:
        return ""
    if job.state == v1.JOB_STATE_PAUSING:
        return "is being paused: try again when it is PAUSED"
    only = f"is {state_machine.state_name(job.state)}: only a paused job can be resumed"
    if job.state in (v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED):
        return f"{only}; `mistudio jobs retry {job.id}` puts it back"
    return only


def _no_finish(job: v1.Job) -> str:
    """Returns why a job cannot finish now; "" if it can."""
    if job.kind not in CAN_FINISH:
        return f"is a {job.kind}, which keeps nothing of a part: only {' and '.join(sorted(CAN_FINISH))} finish early"
    if job.state == v1.JOB_STATE_PAUSING:
        return "is being paused: try again when it is PAUSED"
    if job.state == v1.JOB_STATE_PAUSED and not job.attempts:
        return "has not begun, so there is nothing to keep: cancel or resume it"
    if job.state == v1.JOB_STATE_QUEUED and job.finish_requested:
        return ""  # asked before: it finishes when it runs again
    if job.state not in (v1.JOB_STATE_RUNNING, v1.JOB_STATE_PAUSED):
        return f"is {state_machine.state_name(job.state)}: only a job that runs or is paused can finish early"
    return ""
