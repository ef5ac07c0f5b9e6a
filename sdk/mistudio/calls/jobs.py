"""Calls of JobService."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from mistudio import v1
from mistudio.calls.call import Call, Listing, request_id_or_new, unary
from mistudio.pipelines import Steps, steps_of
from mistudio.spans import Span, duration
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
    job_timeout: Span | None = None,
    start_within: Span | None = None,
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
        job_timeout: How long one attempt may run, as seconds or timedelta: then it is asked to stop and, after the
            grace, made to. The job fails with TIMEOUT then. None is for ever.
        start_within: How long it may wait in its queue for its first attempt, before it fails with DEADLINE_PASSED.
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
        job_timeout=job_timeout,
        start_within=start_within,
    )
    request = v1.SubmitJobRequest(job=job, request_id=request_id_or_new(request_id), validate_only=validate_only)
    return unary(
        "JobService/SubmitJob", request, v1.SubmitJobResponse, lambda a: a.job, timeout=timeout, repeatable=True
    )


def submit_many(
    jobs: Sequence[Spec], *, request_id: str = "", timeout: float | None = None
) -> Call[v1.SubmitJobsResponse]:
    """Submits at most 1,000 jobs in one call, which is many times faster than one by one; one bad job refuses all.

    The answer has their `job_ids` in order, and `diagnoses`: a sentence for each of their queues that nobody serves or
    that is paused. Give a whole `JobRequest` for a priority, labels or a name. The same `request_id` answers with the
    same jobs. Raises what `submit` raises.
    """
    prefix = request_id_or_new(request_id)
    requests = [
        v1.SubmitJobRequest(job=job_request(job), request_id=f"{prefix}.{number}") for number, job in enumerate(jobs)
    ]
    request, answer = v1.SubmitJobsRequest(requests=requests), v1.SubmitJobsResponse
    return unary("JobService/SubmitJobs", request, answer, lambda a: a, timeout=timeout, repeatable=True)


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
    created_since: datetime | None = None,
    created_before: datetime | None = None,
    ended_before: datetime | None = None,
    order_by: str = "",
    page_size: int = 0,
    timeout: float | None = None,
) -> Listing[v1.Job]:
    """Iterates over the handles of all jobs that match, reading page after page.

    They come newest first, or in the order of `order_by`: "create_time", "update_time", "end_time" or "priority", each
    with " desc" for falling. Empty arguments match every job; a datetime without a time zone is local time; `timeout`
    is for each page.
    """
    times = {"created_since": created_since, "created_before": created_before, "ended_before": ended_before}
    request = v1.ListJobsRequest(
        states=[JobState(state).to_proto() for state in states],
        kinds=kinds,
        queues=queues,
        pipeline_id=pipeline_id,
        labels=labels or {},
        order_by=order_by,
        page_size=page_size,
    )
    for field, time in times.items():
        if time is not None:
            getattr(request, field).FromDatetime(time.astimezone(UTC))
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


def finish(job_id: str, *, timeout: float | None = None) -> Call[v1.Job]:
    """Asks a job to finish now and to keep what it has, e.g. an SAE as far as it is trained.

    A paused job goes on only to finish. Raises FailedPreconditionError if it does not run, or its kind keeps nothing.
    """
    request = v1.FinishJobRequest(job_id=job_id)
    return unary("JobService/FinishJob", request, v1.FinishJobResponse, lambda a: a.job, timeout=timeout)


def delete(job_ids: Sequence[str], *, timeout: float | None = None) -> Call[int]:
    """Deletes the records and events of jobs that have ended, at most 1,000; returns how many there were.

    Their artifacts stay. Raises FailedPreconditionError, with nothing deleted, if one has not ended or an unfinished
    job needs it.
    """
    request = v1.DeleteJobsRequest(job_ids=job_ids)
    answer = v1.DeleteJobsResponse
    return unary("JobService/DeleteJobs", request, answer, lambda a: a.deleted, timeout=timeout, repeatable=True)


def retry(
    job_id: str, spec: Spec | None = None, *, job_timeout: Span | None = None, timeout: float | None = None
) -> Call[v1.Job]:
    """Puts a failed or cancelled job back into its queue, with what failed because of it.

    Its spec may be changed to another of the same kind, and how long an attempt may run (0 is for ever).
    """
    request = v1.RetryJobRequest(job_id=job_id, spec=None if spec is None else job_spec(spec))
    if job_timeout is not None:
        request.timeout.CopyFrom(duration(job_timeout))
        request.timeout.SetInParent()  # a length of nothing says something, too
    return unary("JobService/RetryJob", request, v1.RetryJobResponse, lambda a: a.job, timeout=timeout)
