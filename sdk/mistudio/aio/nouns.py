"""What an asyncio client has under its nouns."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mistudio import v1
from mistudio.aio.job import AsyncJob, pipeline_run, read_log
from mistudio.aio.method import AsyncNoun, Awaited, AwaitedPages, as_is
from mistudio.calls import artifacts, datasets, features, jobs, mesh, queues, schedules, training, workers
from mistudio.job_log import JobLog, JobLogLine
from mistudio.watching import Watch


class AsyncJobs(AsyncNoun):
    """Submits, watches and controls jobs."""

    submit = Awaited(jobs.submit, AsyncJob)
    submit_many = Awaited(jobs.submit_many, as_is)
    submit_pipeline = Awaited(jobs.submit_pipeline, pipeline_run)
    get = Awaited(jobs.get, AsyncJob)
    list = AwaitedPages(jobs.list_, AsyncJob)
    cancel = Awaited(jobs.cancel, AsyncJob)
    pause = Awaited(jobs.pause, AsyncJob)
    resume = Awaited(jobs.resume, AsyncJob)
    finish = Awaited(jobs.finish, AsyncJob)
    retry = Awaited(jobs.retry, AsyncJob)
    delete = Awaited(jobs.delete, as_is)

    def watch(
        self, job_id: str, after_sequence: int = 0, *, timeout: float | None = None
    ) -> AsyncIterator[v1.JobEvent]:
        """Yields a job's events, first those that have been and then live, until it ends; see `AsyncJob.watch`."""
        return self._transport.watch(Watch(job_id, after_sequence, timeout))

    def logs(
        self,
        job_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        changes: bool = False,
        attempt: int = 0,
        level: str = "debug",
    ) -> AsyncIterator[JobLogLine]:
        """Yields what a job has logged, whichever workers ran it; see `AsyncJob.logs`."""
        log = JobLog(job_id, changes=changes, attempt=attempt, level=level)
        return read_log(self._transport, log, follow=follow, tail=tail)


class AsyncQueues(AsyncNoun):
    """Tells about queues and routes."""

    list = Awaited(queues.list_, as_is)
    explain = Awaited(queues.explain, as_is)
    pause = Awaited(queues.pause, as_is)
    resume = Awaited(queues.resume, as_is)


class AsyncSchedules(AsyncNoun):
    """Tells about the jobs that the mesh submits by itself, and controls their schedules."""

    list = Awaited(schedules.list_, as_is)
    pause = Awaited(schedules.pause, as_is)
    resume = Awaited(schedules.resume, as_is)
    run = Awaited(schedules.run, AsyncJob)


class AsyncMeshHealth(AsyncNoun):
    """Tells how the mesh as a whole is."""

    check = Awaited(mesh.check, as_is)


class AsyncWorkers(AsyncNoun):
    """Tells about workers and controls them."""

    list = Awaited(workers.list_, as_is)
    drain = Awaited(workers.drain, as_is)
    resize = Awaited(workers.resize, as_is)


class AsyncArtifacts(AsyncNoun):
    """Tells about artifacts; changes become jobs."""

    list = AwaitedPages(artifacts.list_, as_is)
    get = Awaited(artifacts.get, as_is)
    read_file = Awaited(artifacts.read_file, as_is)
    update = Awaited(artifacts.update, AsyncJob)
    delete = Awaited(artifacts.delete, AsyncJob)


class AsyncDatasets(AsyncNoun):
    """Looks into datasets without a job."""

    preview = Awaited(datasets.preview, as_is)
    preview_tokenization = Awaited(datasets.preview_tokenization, as_is)


class AsyncTraining(AsyncNoun):
    """Tells about training."""

    metrics = AwaitedPages(training.metrics, as_is)
    estimate = Awaited(training.estimate, as_is)


class AsyncFeatures(AsyncNoun):
    """Reads features."""

    list = AwaitedPages(features.list_, as_is)
    get = Awaited(features.get, as_is)
    search = Awaited(features.search, as_is)
    activate = Awaited(features.activate, as_is)
    update = Awaited(features.update, AsyncJob)
