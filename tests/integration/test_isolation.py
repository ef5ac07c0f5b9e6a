"""What a job may do to its process, and what is left of it: real processes, real kills."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from mistudio import v1
from support.broker import NatsServer
from support.mesh import Mesh, count_job
from support.misdeeds import told
from support.waiting import eventually

ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        (tmp_path / "t").mkdir()
        mesh.environment["TMPDIR"] = str(tmp_path / "t")
        await mesh.gateway()
        yield mesh


def pids_of(mesh: Mesh, job_id: str) -> list[int]:
    """Returns the processes that a job has told of."""
    return [int(line.split()[1]) for line in told(mesh.home, job_id) if line.startswith("pid ")]


def alive(pids: Sequence[int]) -> list[int]:
    """Returns those of the processes that run."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [pid] if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE else []
    return found


def temporary_files(mesh: Mesh, job_id: str) -> Iterator[Path]:
    """Finds what is left in the folder that a job has told of."""
    return (file for line in told(mesh.home, job_id) if line.startswith("temp") for file in Path(line[10:]).rglob("*"))


async def has_begun(mesh: Mesh, job_id: str, processes: int = 1) -> list[int]:
    """Waits until a job has told of so many processes."""
    await eventually(lambda: len(pids_of(mesh, job_id)) == processes, what="the job has told of its processes")
    return pids_of(mesh, job_id)


async def test_a_process_that_dies_is_one_attempt_whose_end_says_how(mesh: Mesh) -> None:
    await mesh.toy("toy@1", "--slots", "training=2")
    crashed, left = await mesh.submit(count_job(1, "segfault")), await mesh.submit(count_job(1, "leave"))
    ends = [(await mesh.until(job.id, *ENDED)).attempts for job in (crashed, left)]
    assert [attempt.outcome for attempt in ends[0]] == [v1.ATTEMPT_OUTCOME_FAILED, v1.ATTEMPT_OUTCOME_SUCCEEDED]
    assert f"signal {signal.SIGSEGV}" in ends[0][0].failure.message
    assert "ended with code 3" in ends[1][0].failure.message


async def test_a_job_that_says_too_much_is_slowed_down_and_a_broken_thread_ends_nothing(mesh: Mesh) -> None:
    await mesh.toy()
    job = await mesh.submit(count_job(1, "talk"))
    assert (await mesh.until(job.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED
    lines = [event for event in await mesh.watch(job.id) if event.WhichOneof("event") == "log"]
    assert len(lines) >= 1600


async def test_a_job_that_hears_nothing_is_ended_all_the_same(mesh: Mesh) -> None:
    await mesh.toy("toy@1", "--slots", "training=2")
    jobs = [await mesh.submit(count_job(1, what)) for what in ("deaf", "stuck")]
    pids = [(await has_begun(mesh, job.id))[0] for job in jobs]
    for job in jobs:
        await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job.id), timeout=10)
    for job in jobs:
        assert (await mesh.until(job.id, *ENDED)).state == v1.JOB_STATE_CANCELLED
    await eventually(lambda: not alive(pids), what="their processes have ended")


@pytest.mark.parametrize("what", ["return_early", "die_early"])
async def test_what_a_job_has_started_ends_with_it_and_so_do_its_temporary_files(mesh: Mesh, what: str) -> None:
    await mesh.toy()
    job = await mesh.submit(count_job(1, what))
    done = await mesh.until(job.id, *ENDED)
    assert done.state == v1.JOB_STATE_SUCCEEDED
    assert len(done.attempts) == (2 if what == "die_early" else 1)
    pids = pids_of(mesh, job.id)
    assert len(pids) == 4
    assert not alive(pids)
    assert not list(temporary_files(mesh, job.id))


async def test_nothing_outlives_a_killed_worker(mesh: Mesh, tmp_path: Path) -> None:
    worker = await mesh.toy("toy@1", "--slots", "training=2")
    stuck, parent = await mesh.submit(count_job(1, "stuck")), await mesh.submit(count_job(1, "live_long"))
    pids = [*await has_begun(mesh, stuck.id), *await has_begun(mesh, parent.id, 4)]
    pids += [process.pid for process in psutil.Process(worker.pid).children(recursive=True)]
    assert len(alive(pids)) >= 5
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    await eventually(lambda: not alive(pids), what="all of them have ended")
    await eventually(lambda: not list((tmp_path / "t").glob("*")), what="the worker's folder is gone")


@pytest.mark.slow
async def test_a_killed_forkserver_or_reaper_is_started_anew(mesh: Mesh) -> None:
    worker = await mesh.toy()
    assert (await mesh.until((await mesh.submit(count_job(1))).id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED
    helpers = psutil.Process(worker.pid).children()
    assert len(helpers) >= 2
    for helper in helpers:
        os.kill(helper.pid, signal.SIGKILL)
    again = await mesh.submit(count_job(1))
    assert (await mesh.until(again.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED


async def test_a_poison_job_is_given_up_and_workers_that_are_started_again_live(mesh: Mesh) -> None:
    worker = await mesh.toy("toy@1")
    job = await mesh.submit(count_job(1, "poison", max_attempts=2))
    for number in (2, 3):
        assert worker.wait(30) == -signal.SIGKILL
        worker = await mesh.toy(f"toy@{number}")
    failed = await mesh.until(job.id, *ENDED)
    assert (failed.state, failed.failure.reason) == (v1.JOB_STATE_FAILED, "WORKER_LOST")
    assert told(mesh.home, job.id) == ["attempt 1", "attempt 2"]
    after = await mesh.submit(count_job(1))
    assert (await mesh.until(after.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED
    assert worker.poll() is None
