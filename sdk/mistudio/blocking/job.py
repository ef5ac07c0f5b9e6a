"""A handle on a job, blocking."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Self

from mistudio import v1
from mistudio.blocking.transport import Transport
from mistudio.calls import jobs
from mistudio.calls.call import Call
from mistudio.job_log import JobLog, JobLogLine
from mistudio.job_view import JobView
from mistudio.pipelines import PipelineRun
from mistudio.spans import Span
from mistudio.specs import Spec
from mistudio.watching import Watch


class Job(JobView):
    """A job of the mesh. Every method raises MistudioError if the call fails."""

    def __init__(self, transport: Transport, job: v1.Job) -> None:
        super().__init__(job)
        self._transport = transport

    def refresh(self) -> Self:
        """Reads the job again."""
        return self._apply(jobs.get(self.id))

    def watch(self, after_sequence: int = 0, *, timeout: float | None = None) -> Iterator[v1.JobEvent]:
        """Yields the job's events, first those that have been and then live, until the job ends.

        A connection that breaks is opened again after the last event, so that none is missed or repeated. Raises
        DeadlineExceededError after `timeout` seconds, and UnavailableError if no gateway answers for a minute.
        """
        for event in self._transport.watch(Watch(self.id, after_sequence, timeout)):
            self._absorb(event)
            yield event

    def logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        changes: bool = False,
        attempt: int = 0,
        level: str = "debug",
    ) -> Iterator[JobLogLine]:
        """Yields what the job has logged, whichever workers ran it.

        Args:
            follow: Go on live until the job ends; else this ends with what there is by now.
            tail: Of the lines that have been, only so many; None yields all.
            changes: Yield a line for each change of the job's state, too.
            attempt: Only lines of this attempt; 0 yields those of all.
            level: Only lines of this level of `LEVELS` or a more important one.

        Raises what `watch` raises, and ValueError if there is no such level.
        """
        log = JobLog(self.id, changes=changes, attempt=attempt, level=level)
        return read_log(self._transport, log, follow=follow, tail=tail)

    def result(self, timeout: float | None = None) -> list[str]:
        """Waits for the end and returns the ids of the artifacts.

        Raises JobFailedError, JobCancelledError, or DeadlineExceededError after `timeout` seconds (the job goes on).
        """
        if not self.refresh().state.is_over:
            for _ in self.watch(timeout=timeout):
                pass
        return self._outcome()

    def cancel(self) -> Self:
        """Asks to cancel: queued, it never starts; running, it is over within the grace."""
        return self._apply(jobs.cancel(self.id))

    def pause(self) -> Self:
        """Asks to pause: queued, it leaves its queue; running, it stops after a checkpoint."""
        return self._apply(jobs.pause(self.id))

    def resume(self) -> Self:
        """Puts a paused job back into its queue."""
        return self._apply(jobs.resume(self.id))

    def finish(self) -> Self:
        """Asks to finish now and to keep what there is, e.g. an SAE as far as it is trained."""
        return self._apply(jobs.finish(self.id))

    def retry(self, spec: Spec | None = None, *, job_timeout: Span | None = None) -> Self:
        """Puts a failed or cancelled job back into its queue, with a changed spec or limit of an attempt if given."""
        return self._apply(jobs.retry(self.id, spec, job_timeout=job_timeout))

    def _apply(self, call: Call[v1.Job]) -> Self:
        self._job = self._transport.call(call)
        return self


def read_log(transport: Transport, log: JobLog, *, follow: bool, tail: int | None) -> Iterator[JobLogLine]:
    """Yields the lines of a log as `Job.logs` does."""

    def read(*, follow: bool) -> Iterator[JobLogLine]:
        for event in transport.watch(log.watch(follow=follow)):
            yield from log.lines(event)

    if tail is not None:
        yield from deque(read(follow=False), maxlen=tail)
    if tail is None or (follow and not log.over):
        yield from read(follow=follow)


def pipeline_run(transport: Transport, answer: v1.SubmitPipelineResponse) -> PipelineRun[Job]:
    """Returns the run with a handle for each step."""
    return PipelineRun(answer.pipeline_id, {job.step: Job(transport, job) for job in answer.jobs})
