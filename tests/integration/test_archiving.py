"""archive_jobs with a real gateway: complete records, nothing lost and nothing twice, whenever it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet as pq
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import Parse

from mistudio import v1
from mistudio_curator import archive_jobs, ledger
from mistudio_curator.job_archive import by_end
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.jobs import JobContext, JobStoppedError, Stop
from mistudio_runtime.settings import Settings
from support.broker import NatsServer
from support.mesh import Mesh, count_job, quick_job

ALL = v1.ArchiveJobs(older_than=Duration())
ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


@pytest.fixture
async def toy(mesh: Mesh) -> None:
    await mesh.toy()


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a few jobs many pages."""
    for module in (ledger, archive_jobs):
        monkeypatch.setattr(module, "PAGE", 2)


class Archiver(JobContext):
    """An archive_jobs job that is run here; it may be asked to stop when it reports a stage."""

    def __init__(self, mesh: Mesh, job_id: str, attempt: int = 1, *, stop_at: str = "") -> None:
        self.lines: list[str] = []
        self._stop_at = stop_at
        settings = Settings(home=mesh.home, gateway=mesh.address)
        store = ArtifactStore.open(settings.artifacts_url)
        super().__init__(job_id=job_id, attempt=attempt, store=store, settings=settings, emit=self._hear)

    async def run(self, spec: v1.ArchiveJobs = ALL) -> list[str]:
        return await asyncio.to_thread(archive_jobs.run, spec, self)

    def _hear(self, report: v1.AttemptReport) -> None:
        if report.HasField("log"):
            self.lines.append(report.log.message)
        elif self._stop_at and report.progress.stage == self._stop_at:
            self.request_stop(Stop.CANCEL)

    def archives(self) -> list[str]:
        return sorted(manifest.id for manifest in self.store.list() if manifest.kind == "job_archive")

    def rows(self) -> list[dict[str, Any]]:
        """The rows of all archives."""
        paths = [self.store.path(archive) / "jobs.parquet" for archive in self.archives()]
        return [row for path in paths for row in pq.read_table(path).to_pylist()]


async def ended(mesh: Mesh, requests: Sequence[v1.JobRequest]) -> list[v1.Job]:
    jobs = [await mesh.submit(request) for request in requests]
    return [await mesh.until(job.id, *ENDED) for job in jobs]


async def left(mesh: Mesh) -> set[str]:
    answer = await mesh.jobs.ListJobs(v1.ListJobsRequest(page_size=1000), timeout=10)
    return {job.id for job in answer.jobs}


@pytest.mark.usefixtures("toy")
async def test_whole_records_leave_the_ledger_and_what_is_needed_stays(mesh: Mesh) -> None:
    jobs = await ended(mesh, [quick_job(labels={"n": str(n)}) for n in range(4)] + [count_job(what="permanent")])
    parent = (await ended(mesh, [count_job(3)]))[0]
    paused = await mesh.submit(count_job(1000))
    await mesh.jobs.PauseJob(v1.PauseJobRequest(job_id=paused.id), timeout=10)
    child = await mesh.submit(quick_job(depends_on=[parent.id, paused.id]))

    first = Archiver(mesh, "job-first")
    (archive,) = await first.run()

    assert archive == "job_archive-first-0"
    assert await left(mesh) == {parent.id, paused.id, child.id}
    rows = {row["id"]: row for row in first.rows()}
    records = {job_id: Parse(row["record"], v1.Job()) for job_id, row in rows.items()}
    for job in jobs:
        job.ClearField("diagnosis")
    assert records == {job.id: job for job in jobs}
    assert dict(rows[jobs[2].id]["labels"]) == {"n": "2"}
    assert (rows[jobs[4].id]["state"], rows[jobs[4].id]["failure_reason"]) == ("FAILED", "TOY")
    assert first.lines == [f"archived 5 jobs in {archive}, and deleted 5 records"]
    summary = first.store.get(archive).summary
    assert summary["jobs"] == 5
    assert summary["first_end"] <= summary["last_end"] < summary["ended_before"]
    with pytest.raises(grpc.aio.AioRpcError, match="there is no job"):
        await mesh.watch(jobs[0].id)

    again = Archiver(mesh, "job-again")
    assert await again.run() == []
    assert "nothing to archive" in again.lines[0]


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("next_job", ["job-first", "job-second"])
async def test_what_was_killed_between_archive_and_deletion_goes_on(mesh: Mesh, next_job: str) -> None:
    jobs = await ended(mesh, [quick_job() for _ in range(5)])
    with pytest.raises(JobStoppedError):
        await Archiver(mesh, "job-first", stop_at="delete").run()
    later = (await ended(mesh, [quick_job()]))[0]
    assert later.id in await left(mesh)

    other = Archiver(mesh, next_job, attempt=2)
    assert await other.run() == [f"job_archive-{next_job.removeprefix('job-')}-0"]

    ids = [row["id"] for row in other.rows()]
    assert len(ids) == len(set(ids)), "no job stands in two archives"
    if next_job == "job-second":
        assert set(ids) == {later.id, *(job.id for job in jobs)}
        assert not await left(mesh)
    else:
        assert await left(mesh) == {later.id}


@pytest.mark.usefixtures("toy")
async def test_a_draft_that_was_killed_has_deleted_nothing(mesh: Mesh) -> None:
    jobs = await ended(mesh, [quick_job() for _ in range(5)])
    killed = Archiver(mesh, "job-first", stop_at="archive")
    with pytest.raises(JobStoppedError):
        await killed.run()
    assert await left(mesh) == {job.id for job in jobs}
    assert not killed.archives()


@pytest.mark.usefixtures("toy")
async def test_a_job_that_was_put_back_since_stays(mesh: Mesh) -> None:
    failed = (await ended(mesh, [count_job(what="permanent")]))[0]
    with pytest.raises(JobStoppedError):
        await Archiver(mesh, "job-first", stop_at="archive").run()
    await mesh.jobs.RetryJob(v1.RetryJobRequest(job_id=failed.id), timeout=10)
    await mesh.until(failed.id, *ENDED)
    await Archiver(mesh, "job-first", attempt=2).run()
    assert await left(mesh) == {failed.id}, "its record is newer than the archive"

    last = Archiver(mesh, "job-second")
    await last.run()
    assert not await left(mesh)
    attempts = [len(Parse(row["record"], v1.Job()).attempts) for row in last.rows()]
    assert sorted(attempts) == [1, 2]


@pytest.mark.usefixtures("toy")
async def test_a_job_that_is_needed_by_now_stays_and_its_neighbours_go(mesh: Mesh) -> None:
    jobs = await ended(mesh, [quick_job() for _ in range(3)])
    paused = await mesh.submit(count_job(1000))
    await mesh.jobs.PauseJob(v1.PauseJobRequest(job_id=paused.id), timeout=10)
    child = await mesh.submit(quick_job(depends_on=[jobs[1].id, paused.id]))
    with ledger.Ledger(mesh.address) as asked:
        assert await asyncio.to_thread(asked.delete, by_end(jobs)) == 2
        assert await asyncio.to_thread(asked.needed) == {jobs[1].id, paused.id}
    assert await left(mesh) == {jobs[1].id, paused.id, child.id}


async def test_the_curator_archives_and_the_catalog_shows_it(mesh: Mesh) -> None:
    await mesh.toy("toy@1", "--queues", "training")
    mesh.start("-m", "mistudio_curator", "--name", "curator@1", "--queues", "low_priority")
    old = (await ended(mesh, [count_job(1)]))[0]
    young = v1.ArchiveJobs()
    for spec, gone in ((young, False), (ALL, True)):
        job = await mesh.submit(v1.JobRequest(spec=v1.JobSpec(archive_jobs=spec), max_attempts=1))
        done = await mesh.until(job.id, *ENDED)
        assert done.state == v1.JOB_STATE_SUCCEEDED
        assert (old.id not in await left(mesh)) == gone
    request = v1.ListArtifactsRequest(kinds=[v1.ARTIFACT_KIND_JOB_ARCHIVE])
    (artifact,) = (await v1.CatalogServiceStub(mesh.channel).ListArtifacts(request, timeout=10)).artifacts
    assert [artifact.id] == [*done.artifact_ids]
    assert artifact.summary["jobs"] == 2, "and the archive job before"
    assert datetime.fromisoformat(artifact.summary["last_end"]) < datetime.now(UTC)
