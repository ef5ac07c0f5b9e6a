"""From a request to a recorded job with a message in its queue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mistudio import v1
from mistudio_gateway import job_ids
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.quoting import quoted
from mistudio_gateway.records import new_job
from mistudio_gateway.validation import Scope, validate_request
from mistudio_gateway.validation.references import body_of, kind_of, references
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import ConflictError, ExhaustedError
from mistudio_runtime.queues import QueueTable
from mistudio_runtime.settings import Settings

MAX_REQUEST_ID = 128
MAX_STEPS = 1_000
MAX_STEP_NAME = 64


class Submission:
    """Admits jobs. The record comes first, then the message: a crash between them is mended by the reconciler."""

    def __init__(
        self, ledger: Ledger, dispatcher: Dispatcher, store: ArtifactStore, settings: Settings, table: QueueTable
    ) -> None:
        """Takes what admission needs."""
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._store = store
        self._settings = settings
        self._table = table

    async def submit(self, request: v1.JobRequest, request_id: str = "", *, validate_only: bool = False) -> v1.Job:
        """Validates, records and enqueues one job; the same request_id answers with the same job.

        A job that was only validated has no id.

        Raises InvalidRequestError, UnimplementedError, ConflictError, ExhaustedError, UnavailableError.
        """
        scope = self.scope()
        scope.require(len(request_id) <= MAX_REQUEST_ID, "request_id", f"is at most {MAX_REQUEST_ID} characters")
        job_id = job_ids.job_id(request_id)
        repeated = request_id and self._ledger.mirrored(job_id) and kind_of(request.spec)
        if not repeated:
            # A repeated call must not fail because the world has changed since the first.
            await asyncio.to_thread(validate_request, request, "job", scope)  # it looks at files
        scope.raise_if_any()
        job = new_job("" if validate_only else job_id, request, self._table, utc_now())
        return job if validate_only else await self._record(job)

    async def submit_pipeline(self, steps: Sequence[v1.PipelineStep], request_id: str = "") -> tuple[str, list[v1.Job]]:
        """Validates all steps, then records and enqueues them; returns the pipeline's id and its jobs."""
        names = await asyncio.to_thread(self._validate_steps, steps, request_id)
        pipeline_id = job_ids.pipeline_id(request_id)
        ids = {name: job_ids.step_job_id(request_id, name) for name in names}
        jobs = [self._step_job(step, ids, pipeline_id) for step in steps]
        # Children first: a root that runs before its children are recorded could end unnoticed by a crash.
        recorded = {job.id: await self._record(job) for job in reversed(jobs)}
        return pipeline_id, [recorded[job.id] for job in jobs]

    def scope(self) -> Scope:
        """Returns what requests are validated against."""
        return Scope(self._store, self._settings, self._table, self._ledger.mirrored)

    def _validate_steps(self, steps: Sequence[v1.PipelineStep], request_id: str) -> list[str]:
        scope = self.scope()
        scope.require(len(request_id) <= MAX_REQUEST_ID, "request_id", f"is at most {MAX_REQUEST_ID} characters")
        scope.require(0 < len(steps) <= MAX_STEPS, "steps", f"name 1 to {MAX_STEPS} steps")
        before: dict[str, v1.JobSpec] = {}
        for index, step in scope.each(steps[:MAX_STEPS]):
            path = f"steps[{index}]"
            scope.require(_is_name(step.name), f"{path}.name", 'is a letter, then letters, digits, "-" or "_"')
            scope.require(step.name not in before, f"{path}.name", f"{quoted(step.name)} stands twice")
            scope.steps = dict(before)
            validate_request(step.job, f"{path}.job", scope)
            before[step.name] = step.job.spec
        scope.raise_if_any()
        return list(before)

    def _step_job(self, step: v1.PipelineStep, ids: dict[str, str], pipeline_id: str) -> v1.Job:
        request = v1.JobRequest()
        request.CopyFrom(step.job)
        for ref in references(body_of(request.spec)):
            if ref.WhichOneof("ref") == "step":
                ref.job_id = ids[ref.step]
        job = new_job(ids[step.name], request, self._table, utc_now())
        job.pipeline_id, job.step = pipeline_id, step.name
        return job

    async def _record(self, job: v1.Job) -> v1.Job:
        created = await self._ledger.create(job)
        if not created:
            existing = await self._ledger.get(job.id)
            if existing.request_digest != job.request_digest:
                raise ConflictError(f"this request_id was used before for another job, {job.id}")
            job = existing
        # Of a repeated call, too: the first one may have ended between record and message.
        if job.state == v1.JOB_STATE_QUEUED:
            await self._enqueue(job, created=created)
        return job

    async def _enqueue(self, job: v1.Job, *, created: bool) -> None:
        try:
            await self._dispatcher.enqueue(job)
        except ExhaustedError:
            # A record of an earlier call was promised to run: the reconciler gives it a message when there is room.
            if created:
                await self._ledger.forget(job.id)
            raise


def _is_name(name: str) -> bool:
    plain = name.replace("-", "").replace("_", "")
    return 0 < len(name) <= MAX_STEP_NAME and name.isascii() and name[0].isalpha() and plain.isalnum()
