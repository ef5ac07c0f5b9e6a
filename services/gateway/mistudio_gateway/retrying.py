"""Puts jobs that ended badly back, with what failed because of them."""

from __future__ import annotations

import contextlib

from google.protobuf.duration_pb2 import Duration

from mistudio import v1
from mistudio_gateway import state_machine
from mistudio_gateway.dependencies import children_failed_by, failed_parent, ready, resolve_outputs
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.submission import Submission
from mistudio_gateway.validation import validate_request
from mistudio_gateway.validation.limits import check_limit
from mistudio_gateway.validation.references import kind_of, required_jobs
from mistudio_runtime.errors import FailedPreconditionError, InvalidRequestError, NotFoundError, Violation


class Retrying:
    """A person's retry of a failed or cancelled job."""

    def __init__(self, ledger: Ledger, dispatcher: Dispatcher, submission: Submission) -> None:
        """Takes the ledger, the way to queues, and what a changed spec is validated by."""
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._submission = submission

    async def retry(self, request: v1.RetryJobRequest) -> v1.Job:
        """Puts a job back, with another spec or timeout if given; jobs that failed because of it wait for it again.

        Its time to start within counts anew. Raises NotFoundError, InvalidRequestError, FailedPreconditionError if it
        has not failed, or a job that it needs has, and UnavailableError.
        """
        await self._check(request)

        def change(job: v1.Job) -> None:
            _refuse_unless_ended_badly(job)
            state_machine.retry(job, utc_now(), waits=self._waits(job, request))

        job, _ = await self._ledger.change(request.job_id, change)
        for child in children_failed_by(job.id, self._ledger.in_states(v1.JOB_STATE_FAILED)):
            with contextlib.suppress(NotFoundError):  # deleted meanwhile
                await self._ledger.change(child, _wait_again)
        if job.state == v1.JOB_STATE_QUEUED:
            await self._dispatcher.enqueue(job)
        return job

    async def _check(self, request: v1.RetryJobRequest) -> None:
        scope = self._submission.scope()
        if request.HasField("timeout") and request.timeout != Duration():
            check_limit(request.timeout, "timeout", scope)
        if request.HasField("spec"):
            job = await self._ledger.get(request.job_id)
            if kind_of(request.spec) != job.kind:
                raise InvalidRequestError([Violation("spec", f"{job.id} is a {job.kind}, and stays one")])
            validate_request(v1.JobRequest(spec=request.spec), "", scope)
        scope.raise_if_any()

    def _waits(self, job: v1.Job, request: v1.RetryJobRequest) -> bool:
        """Changes what is asked to be changed; tells whether the job waits for others then."""
        if request.HasField("spec"):
            outdated = set(required_jobs(job.spec))
            others = [parent for parent in job.depends_on if parent not in outdated]
            job.spec.CopyFrom(request.spec)
            job.depends_on[:] = dict.fromkeys([*others, *required_jobs(job.spec)])
        if request.HasField("timeout"):
            job.timeout.CopyFrom(request.timeout)
            if request.timeout == Duration():
                job.ClearField("timeout")
        find = self._ledger.mirrored
        if (parent := failed_parent(job, find)) is not None:
            stands = state_machine.state_name(parent.state)
            raise FailedPreconditionError(
                f"{job.id} needs {parent.id}, which is {stands}: `mistudio jobs retry {parent.id}` puts both back"
            )
        if not ready(job, find):
            return True
        if failure := resolve_outputs(job, find):
            raise FailedPreconditionError(f"{job.id}: {failure.message}")
        return False


def _refuse_unless_ended_badly(job: v1.Job) -> None:
    if job.state not in (v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED):
        helps = f"; `mistudio jobs resume {job.id}` puts it back" if job.state == v1.JOB_STATE_PAUSED else ""
        stands = state_machine.state_name(job.state)
        raise FailedPreconditionError(f"{job.id} is {stands}: only a failed or cancelled job can be retried{helps}")


def _wait_again(job: v1.Job) -> None:
    # Another call, or the reconciler, may have been faster.
    if job.state == v1.JOB_STATE_FAILED:
        state_machine.retry(job, utc_now(), waits=True)
