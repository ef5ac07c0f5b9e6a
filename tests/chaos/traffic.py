"""What people do meanwhile: they submit, cancel, pause, resume and retry, and keep what they were promised."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc

from chaos.client import Client, RefusedError
from chaos.plan import Request
from chaos.topology import count_spec, quick_spec
from mistudio import v1

LABEL = "chaos"
PATIENT_ATTEMPTS = 60
"""More than any run kills one job."""
POISON_ATTEMPTS = 3
_LOOK_SECONDS = 0.5
_ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)


@dataclass
class Promised:
    """A job that the mesh has acknowledged."""

    request: Request
    job_id: str
    step: str = ""
    retried: bool = False
    cancelled: bool = False


@dataclass
class Traffic:
    """Carries out requests; `promised` is the clients' own list, by job id."""

    client: Client
    run_name: str
    """Part of every request_id."""
    promised: dict[str, Promised] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    async def run(self, request: Request) -> None:
        """Submits, and then does what the kind of request asks for."""
        try:
            promised = await self._submit(request)
            follow = _FOLLOW.get(request.kind)
            if follow is not None:
                await asyncio.sleep(request.patience)
                await follow(self, promised)
        except RefusedError as error:
            self.refused.append(f"request {request.number} ({request.kind}): {error}")

    async def _submit(self, request: Request) -> Promised:
        if request.kind == "pipeline":
            return await self._submit_pipeline(request)
        spec = quick_spec() if request.kind == "quick" else count_spec(*_COUNTS[request.kind](request))
        answer = await self.client.call("SubmitJob", self.request_of(request, spec))
        return self._keep(request, answer.job)

    def request_of(self, request: Request, spec: v1.JobSpec) -> v1.SubmitJobRequest:
        """Returns the call that may be repeated: the same request is the same job."""
        return v1.SubmitJobRequest(job=self._job(request, spec), request_id=self._id(request))

    async def _submit_pipeline(self, request: Request) -> Promised:
        """Submits one job whose output two others read, and one that waits for both of these."""
        left, right = (v1.ExtractFeatures(sae=v1.ArtifactRef(step="first")) for _ in range(2))
        specs = {
            "first": count_spec(request.steps),
            "left": v1.JobSpec(extract_features=left),
            "right": v1.JobSpec(extract_features=right),
        }
        steps = [v1.PipelineStep(name=name, job=self._job(request, spec)) for name, spec in specs.items()]
        pipeline = v1.SubmitPipelineRequest(steps=steps, request_id=self._id(request))
        answer = await self.client.call("SubmitPipeline", pipeline)
        kept = [self._keep(request, job) for job in answer.jobs]
        last = self._job(request, quick_spec())
        last.depends_on[:] = [promised.job_id for promised in kept[1:]]
        submit = v1.SubmitJobRequest(job=last, request_id=f"{self._id(request)}-last")
        return self._keep(request, (await self.client.call("SubmitJob", submit)).job, "last")

    def _job(self, request: Request, spec: v1.JobSpec) -> v1.JobRequest:
        attempts = POISON_ATTEMPTS if request.kind == "poison" else PATIENT_ATTEMPTS
        labels = {LABEL: str(request.number)}
        return v1.JobRequest(spec=spec, priority=request.priority, max_attempts=attempts, labels=labels)

    def _id(self, request: Request) -> str:
        return f"{self.run_name}-{request.number}"

    def _keep(self, request: Request, job: v1.Job, step: str = "") -> Promised:
        promised = Promised(request, job.id, step or job.step)
        self.promised[job.id] = promised
        return promised

    async def cancel(self, promised: Promised) -> None:
        """Cancels, unless the job was faster."""
        try:
            await self.client.call("CancelJob", v1.CancelJobRequest(job_id=promised.job_id))
            promised.cancelled = True
        except RefusedError as error:
            _expect(error, grpc.StatusCode.FAILED_PRECONDITION)

    async def pause_and_resume(self, promised: Promised) -> None:
        """Pauses, waits until it is paused or over, and resumes."""
        try:
            await self.client.call("PauseJob", v1.PauseJobRequest(job_id=promised.job_id))
        except RefusedError as error:
            _expect(error, grpc.StatusCode.FAILED_PRECONDITION)
        if await self._until(promised, v1.JOB_STATE_PAUSED):
            try:
                await self.client.call("ResumeJob", v1.ResumeJobRequest(job_id=promised.job_id))
            except RefusedError as error:
                _expect(error, grpc.StatusCode.FAILED_PRECONDITION)  # a repetition: it is resumed

    async def retry(self, promised: Promised) -> None:
        """Waits until the job has failed, and retries it with parameters that work."""
        if await self._until(promised, v1.JOB_STATE_FAILED):
            promised.retried = True
            spec = count_spec(promised.request.steps)
            try:
                await self.client.call("RetryJob", v1.RetryJobRequest(job_id=promised.job_id, spec=spec))
            except RefusedError as error:
                _expect(error, grpc.StatusCode.FAILED_PRECONDITION)  # a repetition

    async def _until(self, promised: Promised, state: v1.JobState.ValueType) -> bool:
        while (job := await self.client.get(promised.job_id)).state != state:
            if job.state in _ENDED:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True


def _expect(error: RefusedError, code: grpc.StatusCode) -> None:
    if error.code != code:
        raise error


_COUNTS: dict[str, Callable[[Request], tuple[int, str]]] = {
    "count": lambda request: (request.steps, "count"),
    "cancelled": lambda request: (request.steps * 3, "count"),
    "paused": lambda request: (request.steps * 3, "count"),
    "transient_once": lambda request: (request.steps, "transient_once"),
    "permanent": lambda request: (request.steps, "permanent"),
    "retried": lambda request: (request.steps, "permanent"),
    "poison": lambda request: (request.steps, "poison"),
}
_FOLLOW: dict[str, Callable[[Traffic, Promised], Awaitable[None]]] = {
    "cancelled": Traffic.cancel,
    "paused": Traffic.pause_and_resume,
    "retried": Traffic.retry,
}
