"""A handle on a job, asyncio."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Self

from mistudio import v1
from mistudio.aio.transport import AsyncTransport
from mistudio.calls import jobs
from mistudio.calls.call import Call
from mistudio.job_log import JobLog, JobLogLine
from mistudio.job_view import JobView
from mistudio.pipelines import PipelineRun
from mistudio.spans import Span
from mistudio.specs import Spec
from mistudio.watching import Watch


class AsyncJob(JobView):
    """A job of the mesh. Every method raises MistudioError if the call fails."""

    def __init__(self, transport: AsyncTransport, job: v1.Job) -> None:
        super().__init__(job)
        self._transport = transport

    async def refresh(self) -> Self:
        """Reads the job again."""
        return await self._apply(jobs.get(self.id))

    async def watch(
        self,
        after_sequence: int = 0,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC keeps it
    ) -> AsyncIterator[v1.JobEvent]:
        """Yields the job's events, first those that have been and then live, until the job ends.

        A connection that breaks is opened again after the last event, so that none is missed or repeated. Raises
        DeadlineExceededError after `timeout` seconds, and UnavailableError if no gateway answers for a minute.
        """
        async for event in self._transport.watch(Watch(self.id, after_sequence, timeout)):
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
    ) -> AsyncIterator[JobLogLine]:
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

    async def result(self, timeout: float | None = None) -> list[str]:  # noqa: ASYNC109 - gRPC keeps it
        """Waits for the end and returns the ids of the artifacts.

        Raises JobFailedError, JobCancelledError, or DeadlineExceededError after `timeout` seconds (the job goes on).
        """
        if not (await self.refresh()).state.is_over:
            async for _ in self.watch(timeout=timeout):
                pass
        return self._outcome()

    async def cancel(self) -> Self:
        """Asks to cancel: queued, it never starts; running, it is over within the grace."""
        return await self._apply(jobs.cancel(self.id))

    async def pause(self) -> Self:
        """Asks to pause: queued, it leaves its queue; running, it stops after a checkpoint."""
        return await self._apply(jobs.pause(self.id))

    async def resume(self) -> Self:
        """Puts a paused job back into its queue."""
        return await self._apply(jobs.resume(self.id))

    async def finish(self) -> Self:
        """Asks to finish now and to keep what there is, e.g. an SAE as far as it is trained."""
        return await self._apply(jobs.finish(self.id))

    async def retry(self, spec: Spec | None = None, *, job_timeout: Span | None = None) -> Self:
        """Puts a failed or cancelled job back into its queue, with a changed spec or limit of an attempt if given."""
        return await self._apply(jobs.retry(self.id, spec, job_timeout=job_timeout))

    async def _apply(self, call: Call[v1.Job]) -> Self:
        self._job = await self._transport.call(call)
        return self


async def read_log(
    transport: AsyncTransport, log: JobLog, *, follow: bool, tail: int | None
) -> AsyncIterator[JobLogLine]:
    """Yields the lines of a log as `AsyncJob.logs` does."""

    async def read(*, follow: bool) -> AsyncIterator[JobLogLine]:
        async for event in transport.watch(log.watch(follow=follow)):
            for line in log.lines(event):
                yield line

    if tail is not None:
        last: deque[JobLogLine] = deque(maxlen=tail)
        async for line in read(follow=False):
            last.append(line)
        for line in last:
            yield line
    if tail is None or (follow and not log.over):
        async for line in read(follow=follow):
            yield line


def pipeline_run(transport: AsyncTransport, answer: v1.SubmitPipelineResponse) -> PipelineRun[AsyncJob]:
    """Returns the run with a handle for each step."""
    return PipelineRun(answer.pipeline_id, {job.step: AsyncJob(transport, job) for job in answer.jobs})
