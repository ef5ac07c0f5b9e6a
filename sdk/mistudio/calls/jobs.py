"""Calls of JobService."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mistudio import v1
from mistudio.calls.call import Call, Listing, request_id_or_new, unary
from mistudio.pipelines import Steps, steps_of
from mistudio.specs import Spec, job_request, job_spec
from mistudio.states import JobState


def submit(
    spec: Spec,
    *,
    display_name: str = "",
    priority: int = 0,
    labels: Mapping[str, str] | None = None,
    depends_on: Sequence[str] = (),
    max_attempts: int = 0,
    request_id: str = "",
    validate_only: bool = False,
    timeout: float | None = None,
) -> Call[v1.Job]:
    """Submits a job and returns its handle, with a diagnosis if nobody serves its queue.

    Args:
        spec: What to do, e.g. `TrainSae(...)`; or a whole `JobRequest`.
        display_name: A name for people; empty makes one from the kind.
        priority: 1 to 10, 10 first; 0 takes the queue's.
        labels: Labels for finding it again.
        depends_on: Ids of jobs that must succeed first, beside those whose outputs the spec names.
        max_attempts: Attempts before it fails for good; 0 takes the mesh's default.
        request_id: The same id answers with the same job; empty makes a new one.
        validate_only: Only validate; nothing is recorded, and the job returned has no id.
        timeout: Seconds that the call may take in all; None takes the client's.

    Raises InvalidArgumentError with `violations` if a field is bad (nothing is enqueued then), AlreadyExistsError if
    the request id was used for another job, ResourceExhaustedError if the queues are full, TypeError if `spec` is none.
    """
    job = job_request(
        spec,
        display_name=display_name,
        priority=priority,
        max_attempts=max_attempts,
        depends_on=depends_on,
        labels=labels,
    )
    request = v1.SubmitJobRequest(job=job, request_id=request_id_or_new(request_id), validate_only=validate_only)
    return unary(
        "JobService/SubmitJob", request, v1.SubmitJobResponse, lambda a: a.job, timeout=timeout, repeatable=True
    )


def submit_pipeline(
    pipeline: Steps, *, request_id: str = "", timeout: float | None = None
) -> Call[v1.SubmitPipelineResponse]:
    """Submits jobs that use each other's outputs: a `Pipeline`, or specs (or `JobRequest`s) by step name, in order.

    The same `request_id` answers with the same jobs. Raises what `submit` raises.
    """
    request = v1.SubmitPipelineRequest(steps=steps_of(pipeline), request_id=request_id_or_new(request_id))
    answer = v1.SubmitPipelineResponse
    return unary("JobService/SubmitPipeline", request, answer, lambda a: a, timeout=timeout, repeatable=True)


def get(job_id: str, *, timeout: float | None = None) -> Call[v1.Job]:
    """Reads a job and returns its handle. Raises NotFoundError if there is none."""
    request = v1.GetJobRequest(job_id=job_id)
    return unary("JobService/GetJob", request, v1.GetJobResponse, lambda a: a.job, timeout=timeout, repeatable=True)


def list_(
    *,
    states: Iterable[JobState] = (),
    kinds: Sequence[str] = (),
    queues: Sequence[str] = (),
    pipeline_id: str = "",
    labels: Mapping[str, str] | None = None,
    page_size: int = 0,
    timeout: float | None = None,
) -> Listing[v1.Job]:
    """Iterates over the handles of all jobs that match, newest first, reading page after page.

    Empty arguments match every job; `timeout` is for each page.
    """
    request = v1.ListJobsRequest(
        states=[JobState(state).to_proto() for state in states],
        kinds=kinds,
        queues=queues,
        pipeline_id=pipeline_id,
        labels=labels or {},
        page_size=page_size,
    )
    return Listing(
        unary(
            "JobService/ListJobs",
            request,
            v1.ListJobsResponse,
            lambda answer: (answer.jobs, answer.next_page_token),
            timeout=timeout,
            repeatable=True,
        )
    )


def cancel(job_id: str, *, timeout: float | None = None) -> Call[v1.Job]:
    """Cancels a job: queued, it never starts; running, it is over within the grace."""
    request = v1.CancelJobRequest(job_id=job_id)
    return unary("JobService/CancelJob", request, v1.CancelJobResponse, lambda a: a.job, timeout=timeout)


def pause(job_id: str, *, timeout: float | None = None) -> Call[v1.Job]:
    """Pauses a job: queued, it leaves its queue; running, it stops after a checkpoint."""
    request = v1.PauseJobRequest(job_id=job_id)
    return unary("JobService/PauseJob", request, v1.PauseJobResponse, lambda a: a.job, timeout=timeout)


def resume(job_id: str, *, timeout: float | None = None) -> Call[v1.Job]:
    """Puts a paused job back into its queue."""
    request = v1.ResumeJobRequest(job_id=job_id)
    return unary("JobService/ResumeJob", request, v1.ResumeJobResponse, lambda a: a.job, timeout=timeout)


def retry(job_id: str, spec: Spec | None = None, *, timeout: float | None = None) -> Call[v1.Job]:
    """Puts a failed or cancelled job back into its queue, with a changed spec of the same kind if given."""
    request = v1.RetryJobRequest(job_id=job_id, spec=None if spec is None else job_spec(spec))
    return unary("JobService/RetryJob", request, v1.RetryJobResponse, lambda a: a.job, timeout=timeout)
