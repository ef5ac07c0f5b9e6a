"""What a blocking client has under its nouns."""

from __future__ import annotations

from collections.abc import Iterator

from mistudio import v1
from mistudio.blocking.job import Job, pipeline_run, read_log
from mistudio.blocking.method import Blocking, Noun, Paged, as_is
from mistudio.calls import artifacts, datasets, features, jobs, mesh, queues, schedules, training, workers
from mistudio.job_log import JobLog, JobLogLine
from mistudio.watching import Watch


class Jobs(Noun):
    """Submits, watches and controls jobs."""

    submit = Blocking(jobs.submit, Job)
    submit_many = Blocking(jobs.submit_many, as_is)
    submit_pipeline = Blocking(jobs.submit_pipeline, pipeline_run)
    get = Blocking(jobs.get, Job)
    list = Paged(jobs.list_, Job)
    cancel = Blocking(jobs.cancel, Job)
    pause = Blocking(jobs.pause, Job)
    resume = Blocking(jobs.resume, Job)
    finish = Blocking(jobs.finish, Job)
    retry = Blocking(jobs.retry, Job)
    delete = Blocking(jobs.delete, as_is)

    def watch(self, job_id: str, after_sequence: int = 0, *, timeout: float | None = None) -> Iterator[v1.JobEvent]:
        """Yields a job's events, first those that have been and then live, until it ends; see `Job.watch`."""
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
    ) -> Iterator[JobLogLine]:
        """Yields what a job has logged, whichever workers ran it; see `Job.logs`."""
        log = JobLog(job_id, changes=changes, attempt=attempt, level=level)
        return read_log(self._transport, log, follow=follow, tail=tail)


class Queues(Noun):
    """Tells about queues and routes."""

    list = Blocking(queues.list_, as_is)
    explain = Blocking(queues.explain, as_is)
    pause = Blocking(queues.pause, as_is)
    resume = Blocking(queues.resume, as_is)


class Schedules(Noun):
    """Tells about the jobs that the mesh submits by itself, and controls their schedules."""

    list = Blocking(schedules.list_, as_is)
    pause = Blocking(schedules.pause, as_is)
    resume = Blocking(schedules.resume, as_is)
    run = Blocking(schedules.run, Job)


class MeshHealth(Noun):
    """Tells how the mesh as a whole is."""

    check = Blocking(mesh.check, as_is)


class Workers(Noun):
    """Tells about workers and controls them."""

    list = Blocking(workers.list_, as_is)
    drain = Blocking(workers.drain, as_is)
    resize = Blocking(workers.resize, as_is)


class Artifacts(Noun):
    """Tells about artifacts; changes become jobs."""

    list = Paged(artifacts.list_, as_is)
    get = Blocking(artifacts.get, as_is)
    read_file = Blocking(artifacts.read_file, as_is)
    update = Blocking(artifacts.update, Job)
    delete = Blocking(artifacts.delete, Job)


class Datasets(Noun):
    """Looks into datasets without a job."""

    preview = Blocking(datasets.preview, as_is)
    preview_tokenization = Blocking(datasets.preview_tokenization, as_is)


class Training(Noun):
    """Tells about training."""

    metrics = Paged(training.metrics, as_is)
    estimate = Blocking(training.estimate, as_is)


class Features(Noun):
    """Reads features."""

    list = Paged(features.list_, as_is)
    get = Blocking(features.get, as_is)
    search = Blocking(features.search, as_is)
    activate = Blocking(features.activate, as_is)
    update = Blocking(features.update, Job)
