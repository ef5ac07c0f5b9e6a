"""What people ask of recorded jobs: cancel, pause, resume, retry."""

from __future__ import annotations

from collections.abc import Callable

from mistudio import v1
from mistudio_gateway import state_machine
from mistudio_gateway.commands import Commands
from mistudio_gateway.dependencies import children_failed_by, ready, resolve_outputs
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.submission import Submission
from mistudio_gateway.validation import validate_request
from mistudio_gateway.validation.references import kind_of
from mistudio_runtime.errors import InvalidRequestError, Violation


class JobControl:
    """Changes of state by request. Each raises NotFoundError, FailedPreconditionError or UnavailableError."""

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: Dispatcher,
        commands: Commands,
        submission: Submission,
        job_ended: Callable[[], None],
    ) -> None:
        """Takes the ledger, the ways to queues and workers, and whom to tell that a job ended."""
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._commands = commands
        self._submission = submission
        self._job_ended = job_ended

    async def cancel(self, job_id: str) -> v1.Job:
        """Cancels: queued, it never starts; running, its worker is told."""
        job, _ = await self._ledger.change(job_id, lambda job: state_machine.request_cancel(job, utc_now()))
        await self._stop(job, v1.ATTEMPT_COMMAND_CANCEL)
        return job

    async def pause(self, job_id: str) -> v1.Job:
        """Pauses: queued, it leaves its queue; running, its worker is told."""
        job, _ = await self._ledger.change(job_id, lambda job: state_machine.request_pause(job, utc_now()))
        await self._stop(job, v1.ATTEMPT_COMMAND_PAUSE)
        return job

    async def resume(self, job_id: str) -> v1.Job:
        """Puts a paused job back into its queue."""

        def change(job: v1.Job) -> None:
            if job.state != v1.JOB_STATE_PAUSED:
                raise state_machine.IllegalTransitionError(job, v1.JOB_STATE_QUEUED)
            state_machine.enqueue(job, utc_now())

        job, _ = await self._ledger.change(job_id, change)
        await self._dispatcher.enqueue(job)
        return job

    async def retry(self, job_id: str, spec: v1.JobSpec | None) -> v1.Job:
        """Puts a failed or cancelled job back, with another spec if given, and what failed because of it."""
        if spec is not None:
            self._check_spec(await self._ledger.get(job_id), spec)

        def change(job: v1.Job) -> None:
            if spec is not None:
                job.spec.CopyFrom(spec)
            state_machine.retry(job, utc_now(), waits=not ready(job, self._ledger.mirrored))
            if job.state == v1.JOB_STATE_QUEUED:
                resolve_outputs(job, self._ledger.mirrored)

        job, _ = await self._ledger.change(job_id, change)
        for child in children_failed_by(job_id, self._ledger.mirror()):
            await self._ledger.change(child, lambda job: state_machine.retry(job, utc_now(), waits=True))
        if job.state == v1.JOB_STATE_QUEUED:
            await self._dispatcher.enqueue(job)
        return job

    def _check_spec(self, job: v1.Job, spec: v1.JobSpec) -> None:
        if kind_of(spec) != job.kind:
            raise InvalidRequestError([Violation("spec", f"{job.id} is a {job.kind}, and stays one")])
        scope = self._submission.scope()
        validate_request(v1.JobRequest(spec=spec), "", scope)
        scope.raise_if_any()

    async def _stop(self, job: v1.Job, command: v1.AttemptCommand.ValueType) -> None:
        if job.state in state_machine.ACTIVE:
            await self._commands.to_attempt(job, command)
        else:
            await self._dispatcher.remove(job)
            self._job_ended()
