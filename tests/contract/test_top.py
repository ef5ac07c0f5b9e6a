"""What feeds `mistudio top`, from a gateway over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from client_servicers import Mesh, serve

import mistudio
from mistudio import v1
from mistudio.cli.main import run
from mistudio.cli.top.feed import Feed
from mistudio.cli.top.snapshot import read_snapshot
from mistudio.states import JobState
from support.waiting import eventually


class Answering(Mesh):
    """Answers ListWorkers, which the small gateway otherwise leaves to the caller's deadline."""

    hangs = False

    def ListWorkers(self, request: v1.ListWorkersRequest, context: object) -> v1.ListWorkersResponse:  # noqa: N802
        if self.hangs:
            return super().ListWorkers(request, context)  # type: ignore[arg-type]
        return v1.ListWorkersResponse(workers=[v1.WorkerStatus(worker=v1.Worker(name="toy@1"))])


@pytest.fixture
def mesh() -> Answering:
    return Answering()


@pytest.fixture
def address(mesh: Answering, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serve(mesh) as bound:
        monkeypatch.setenv("MISTUDIO_GATEWAY", bound)
        yield bound


@pytest.fixture
async def feed(address: str) -> AsyncIterator[Feed]:
    async with mistudio.AsyncClient(address, retry=mistudio.RetryPolicy(attempts=1)) as client:
        feed = Feed(client, 0.05, lambda: None)
        running = asyncio.create_task(feed.run())
        yield feed
        running.cancel()


def job(name: str, fraction: float) -> v1.Job:
    return v1.Job(id=name, state=v1.JOB_STATE_RUNNING, progress=v1.Progress(fraction=fraction))


async def test_a_snapshot_has_the_most_advanced_jobs_first(mesh: Answering, address: str) -> None:
    mesh.add("queued")
    mesh.jobs |= {"young": job("young", 0.1), "old": job("old", 0.9)}
    mesh.add("done", v1.JOB_STATE_SUCCEEDED)
    async with mistudio.AsyncClient(address) as client:
        snapshot = await read_snapshot(client)
    assert [one.id for one in snapshot.unfinished] == ["old", "young", "queued"]
    assert [one.id for one in snapshot.ended] == ["done"]
    assert [queue.name for queue in snapshot.queues] == ["training"]
    assert [status.worker.name for status in snapshot.workers] == ["toy@1"]


async def test_the_feed_goes_on_after_whatever_the_gateway_did(mesh: Answering, address: str, feed: Feed) -> None:
    await eventually(lambda: feed.snapshot.queues, what="the first snapshot")
    mesh.unavailable = 1_000_000
    await eventually(lambda: feed.problem == f"no gateway answers at {address}; trying again", what="it is away")
    mesh.unavailable = 0
    await eventually(lambda: not feed.problem, what="it is back")
    mesh.hangs = True
    await eventually(lambda: "did not answer in time; trying again" in feed.problem, what="it hangs")
    assert feed.snapshot.queues
    mesh.hangs = False
    await eventually(lambda: not feed.problem, what="it answers")


async def test_the_feed_counts_what_ends_between_two_looks(mesh: Answering, feed: Feed) -> None:
    mesh.jobs["job-1"] = job("job-1", 0.5)
    await eventually(lambda: feed.snapshot.active, what="the job is seen")
    ended = v1.Job(id="job-1", state=v1.JOB_STATE_FAILED)
    ended.end_time.GetCurrentTime()
    mesh.jobs["job-1"] = ended
    feed.soon()
    await eventually(lambda: feed.tally.counts == {JobState.FAILED: 1}, what="it is counted")


@pytest.mark.usefixtures("address")
def test_one_picture_where_there_is_no_terminal(mesh: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    mesh.add("job-1")
    for arguments in (["top"], ["top", "--once"]):
        assert run(arguments) == 0
        said = capsys.readouterr().out
        assert "1 worker" in said
        assert "job-1" in said
        assert "nobody serves it; start a worker: mistudio up" in said
    assert run(["top", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in document["jobs"]] == ["job-1"]
    assert document["queues"][0]["name"] == "training"


def test_without_a_gateway_one_picture_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MISTUDIO_GATEWAY", "127.0.0.1:1")
    assert run(["top"]) == 5
    assert "no gateway answers at 127.0.0.1:1; start one: mistudio up" in capsys.readouterr().err
