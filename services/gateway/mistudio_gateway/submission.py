"""From a request to a recorded job with a message in its queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager

from mistudio import v1
from mistudio_gateway import job_ids
from mistudio_gateway.artifact_needs import jobs_needing
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.pipeline_steps import step_ids, step_jobs, validate_steps
from mistudio_gateway.queues.limits import QueueLimits
from mistudio_gateway.records import new_job
from mistudio_gateway.validation import Scope, looks_at_files, validate_request
from mistudio_gateway.validation.references import kind_of
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import ConflictError, ExhaustedError, NotFoundError
from mistudio_runtime.queues import QueueTable
from mistudio_runtime.settings import Settings

MAX_REQUEST_ID = 128
MAX_REQUESTS = 1_000


class Submission:
    """Admits jobs. The record comes first, then the message: a crash between them is mended by the reconciler."""

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: Dispatcher,
        store: ArtifactStore,
        settings: Settings,
        *,
        table: QueueTable,
        limits: QueueLimits,
    ) -> None:
        """Takes what admission needs."""
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._store = store
        self._settings = settings
        self._table = table
        self._limits = limits

    async def submit(self, request: v1.JobRequest, request_id: str = "", *, validate_only: bool = False) -> v1.Job:
        """Validates, records and enqueues one job; the same request_id answers with the same job.

        A job that was only validated has no id.

        Raises InvalidRequestError, UnimplementedError, ConflictError, ExhaustedError, UnavailableError.
        """
        job_id = job_ids.job_id(request_id)

        async def check(scope: Scope) -> None:
            self._check_request_id(request_id, scope)
            if not self._is_repeated(job_id, request, request_id):
                await self._validate([(request, "job")], scope)

        await self._refuse_or_pass(check)
        job = new_job("" if validate_only else job_id, request, self._table, utc_now())
        if validate_only:
            return job
        with self._room([job]):
            return await self._record(job)

    async def submit_many(self, requests: Sequence[v1.SubmitJobRequest]) -> list[v1.Job]:
        """Validates all requests, then records and enqueues them; one bad request refuses all.

        Repeated with the same request_ids it answers with the same jobs, also after it was broken off in the middle.
        Raises what `submit` raises.
        """
        ids = [job_ids.job_id(request.request_id) for request in requests]

        async def check(scope: Scope) -> None:
            scope.require(0 < len(requests) <= MAX_REQUESTS, "requests", f"are 1 to {MAX_REQUESTS}")
            if len(requests) <= MAX_REQUESTS:
                await self._validate_many(requests, ids, scope)

        await self._refuse_or_pass(check)
        now = utc_now()
        jobs = [new_job(job_id, request.job, self._table, now) for job_id, request in zip(ids, requests, strict=True)]
        with self._room(jobs):
            return await self._record_all(jobs)

    async def submit_pipeline(self, steps: Sequence[v1.PipelineStep], request_id: str = "") -> tuple[str, list[v1.Job]]:
        """Validates all steps, then records and enqueues them; returns the pipeline's id and its jobs.

        The same request_id answers with the same jobs. Raises what `submit` raises.
        """
        ids = step_ids(steps, request_id)
        if not ids or not all(self._ledger.mirrored(job_id) for job_id in ids):
            # A repeated call must not fail because the world has changed since the first.
            await self._refuse_or_pass(lambda scope: asyncio.to_thread(self._validate_steps, steps, request_id, scope))
        pipeline_id, jobs = step_jobs(steps, request_id, self._table)
        with self._room(jobs):
            # Children first: a root that runs before its children are recorded could end unnoticed by a crash.
            children = await self._record_all([job for job in jobs if job.depends_on])
            roots = await self._record_all([job for job in jobs if not job.depends_on])
        recorded = {job.id: job for job in [*children, *roots]}
        return pipeline_id, [recorded[job.id] for job in jobs]

    def scope(self) -> Scope:
        """Returns what requests are validated against."""
        return Scope(self._store, self._settings, self._table, self._ledger.mirrored, self._needing)

    async def _refuse_or_pass(self, check: Callable[[Scope], Awaitable[None]]) -> None:
        """Raises InvalidRequestError if a request is refused, but never for what the mirror has not heard of yet.

        Another gateway may have recorded, or put back, a job just now, and this client have heard of it.
        """
        scope, doubted = self.scope(), set[str]()

        def find(job_id: str) -> v1.Job | None:
            job = self._ledger.mirrored(job_id)
            if job is None or job.state in (v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED):
                doubted.add(job_id)
            return job

        scope.find_job = find
        await check(scope)
        if scope.violations and doubted:
            await asyncio.gather(*map(self._learn, doubted))
            scope = self.scope()
            await check(scope)
        scope.raise_if_any()

    async def _learn(self, job_id: str) -> None:
        with contextlib.suppress(NotFoundError):
            await self._ledger.get(job_id)

    def _needing(self, artifact_id: str) -> list[str]:
        return jobs_needing(artifact_id, self._ledger.unfinished(), self._ledger.mirrored)

    def _room(self, jobs: Sequence[v1.Job]) -> AbstractContextManager[None]:
        """Keeps places in the queues while jobs are recorded; a repeated call needs none. Raises ExhaustedError."""
        return self._limits.room(job for job in jobs if self._ledger.mirrored(job.id) is None)

    async def _validate_many(self, requests: Sequence[v1.SubmitJobRequest], ids: Sequence[str], scope: Scope) -> None:
        fresh = []
        for index, (job_id, request) in enumerate(zip(ids, requests, strict=True)):
            path = f"requests[{index}]"
            scope.require(not request.validate_only, f"{path}.validate_only", "is not for many jobs at once")
            self._check_request_id(request.request_id, scope, f"{path}.request_id")
            if not self._is_repeated(job_id, request.job, request.request_id):
                fresh.append((request.job, f"{path}.job"))
        scope.require(len(set(ids)) == len(ids), "requests", "name a request_id twice")
        await self._validate(fresh, scope)

    async def _validate(self, requests: Sequence[tuple[v1.JobRequest, str]], scope: Scope) -> None:
        """Validates requests, each under its path; those that name artifacts in a thread, which looks at files."""

        def validate_all() -> None:
            for request, path in requests:
                validate_request(request, path, scope)

        if any(looks_at_files(request.spec) for request, _ in requests):
            await asyncio.to_thread(validate_all)
        else:
            validate_all()

    def _is_repeated(self, job_id: str, request: v1.JobRequest, request_id: str) -> bool:
        """Tells whether a call is one that was accepted before: it must not fail because the world has changed."""
        return bool(request_id and self._ledger.mirrored(job_id) and kind_of(request.spec))

    def _check_request_id(self, request_id: str, scope: Scope, path: str = "request_id") -> None:
        scope.require(len(request_id) <= MAX_REQUEST_ID, path, f"is at most {MAX_REQUEST_ID} characters")

    def _validate_steps(self, steps: Sequence[v1.PipelineStep], request_id: str, scope: Scope) -> None:
        self._check_request_id(request_id, scope)
        validate_steps(steps, scope)

    async def _record_all(self, jobs: Sequence[v1.Job]) -> list[v1.Job]:
        """Records side by side, so that they are synced to disk together; raises the first error when all are done."""
        results = await asyncio.gather(*map(self._record, jobs), return_exceptions=True)
        recorded = [result for result in results if isinstance(result, v1.Job)]
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return recorded

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
