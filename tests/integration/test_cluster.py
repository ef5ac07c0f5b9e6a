"""A broker of three servers: what is acknowledged outlives each of them, and an election is a pause, not a loss."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from mistudio import v1
from mistudio_runtime.broker import names
from support.broker import NatsServer
from support.cluster import NAMES, NatsCluster
from support.mesh import Mesh, count_job, quick_job
from support.two_gateways import TwoGateways
from support.waiting import eventually

LEDGER = names.bucket_stream(names.LEDGER_BUCKET)
WORKERS = names.bucket_stream(names.WORKERS_BUCKET)
SUCCEEDED = [v1.ATTEMPT_OUTCOME_SUCCEEDED]
ANSWER_SECONDS = 20.0
"""An answer that comes later, or never, is a hang."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    cluster = NatsCluster(tmp_path_factory.mktemp("cluster"))
    try:
        asyncio.run(cluster.start())
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
async def mesh(home: Path, cluster: NatsCluster, request: pytest.FixtureRequest) -> AsyncIterator[TwoGateways]:
    async with TwoGateways(home, cluster.url) as mesh:
        mesh.environment["MISTUDIO_NATS_REPLICAS"] = "3"
        if not request.node.get_closest_marker("cluster"):  # runs everywhere, whatever else a machine has to do
            mesh.environment["MISTUDIO_ACK_WAIT_SECONDS"] = "5"
        await mesh.gateway()
        await mesh.toy()
        yield mesh


async def test_jobs_outlive_the_leader(mesh: Mesh, cluster: NatsCluster) -> None:
    long = await mesh.submit(count_job(700))
    await eventually(lambda: _started(mesh, long.id), what="the long job has made progress")
    accepted = [(await mesh.submit(quick_job())).id for _ in range(5)]
    leader = await cluster.leader(LEDGER)
    cluster.servers[leader].kill()
    try:
        while len(accepted) < 15:
            job = await _submit(mesh, f"during-{len(accepted)}")
            accepted += [job.id] if job else []
    finally:
        cluster.servers[leader].start()
    for job_id in [*accepted, long.id]:
        done = await mesh.until(job_id, v1.JOB_STATE_SUCCEEDED, within=60)
        assert [attempt.outcome for attempt in done.attempts] == SUCCEEDED
    terminal = [event for event in await mesh.watch(long.id) if event.job.state == v1.JOB_STATE_SUCCEEDED]
    assert len(terminal) == 1
    await _all_whole(cluster)


@pytest.mark.cluster
async def test_workers_live_on_while_nobody_leads_their_records(mesh: TwoGateways, cluster: NatsCluster) -> None:
    leader = await cluster.leader(WORKERS)
    elsewhere = cluster.url_of(await cluster.followers(WORKERS))
    # Its connection stays, so that nothing but silence tells it of the election.
    await mesh.gateway_b(MISTUDIO_NATS_URL=elsewhere)
    mesh.start("-m", "support.toy", "--name", "toy@2", MISTUDIO_GATEWAY=mesh.address_b, MISTUDIO_NATS_URL=elsewhere)
    await eventually(lambda: mesh.knows("toy@2"), what="the second worker is attached")
    jobs = [(await mesh.submit(count_job(700))).id for _ in range(2)]
    for job_id in jobs:
        await eventually(lambda job_id=job_id: _started(mesh, job_id), what="the job has made progress")  # type: ignore[misc]
    cluster.servers[leader].kill()
    try:
        for job_id in jobs:
            done = await mesh.until(job_id, v1.JOB_STATE_SUCCEEDED, within=60)
            assert [attempt.outcome for attempt in done.attempts] == SUCCEEDED
        assert await mesh.knows("toy@1")
        assert await mesh.knows("toy@2")
    finally:
        cluster.servers[leader].start()
    await _all_whole(cluster)


@pytest.mark.cluster
async def test_without_a_majority_calls_are_refused_and_afterwards_all_is_well(
    mesh: Mesh, cluster: NatsCluster
) -> None:
    before = await mesh.submit(count_job(150))
    lost = NAMES[:2]
    for name in lost:
        cluster.servers[name].kill()
    try:
        began = time.monotonic()
        assert await _submit(mesh, "refused") is None
        assert time.monotonic() - began < ANSWER_SECONDS
        await eventually(lambda: _says(mesh, "Too few servers"), what="the doctor says what is missing", period=0.5)
    finally:
        for name in lost:
            cluster.servers[name].start()

    async def accepted() -> v1.Job | None:
        return await _submit(mesh, "refused")

    after = await eventually(accepted, within=60, what="jobs are accepted again")
    for job_id in (before.id, after.id):
        await mesh.until(job_id, v1.JOB_STATE_SUCCEEDED, within=60)
    await _all_whole(cluster)


@pytest.mark.cluster
async def test_a_single_brokers_streams_become_three(home: Path, tmp_path: Path) -> None:
    cluster = NatsCluster(tmp_path)
    try:
        await cluster.start()
        async with Mesh(home, cluster.url) as mesh:
            await mesh.gateway()
            job = await mesh.submit(quick_job())
            gateway = mesh.processes.pop()
            gateway.terminate()
            await asyncio.to_thread(gateway.wait, 20)
            mesh.environment["MISTUDIO_NATS_REPLICAS"] = "3"
            followers = await cluster.followers(names.JOBS_STREAM)
            for name in followers:
                cluster.servers[name].kill()
            mesh.start("-m", "mistudio_gateway")
            log = mesh.home / "process-0.log"
            await eventually(
                lambda: "broker is not ready" in log.read_text(), what="the gateway says what it waits for"
            )
            for name in followers:
                cluster.servers[name].start()
            await eventually(mesh._answers, within=60, what="the gateway answers")
            await mesh.toy()
            await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED, within=60)
            await _all_whole(cluster)
            await eventually(lambda: _is_well(mesh), what="the doctor finds nothing wrong with the broker", period=0.5)
    finally:
        cluster.stop()


async def test_a_broker_that_is_no_cluster_is_refused(home: Path, nats_server: NatsServer) -> None:
    mesh = Mesh(home, nats_server.url)
    gateway = mesh.start("-m", "mistudio_gateway", MISTUDIO_NATS_REPLICAS="3")
    assert await asyncio.to_thread(gateway.wait, 20) == 2
    assert "the broker is a single one" in (mesh.home / "process-0.log").read_text()


async def _submit(mesh: Mesh, request_id: str) -> v1.Job | None:
    """Submits a job; returns None if it was refused in the one way that says to try again."""
    try:
        request = v1.SubmitJobRequest(job=quick_job(), request_id=request_id)
        return (await mesh.jobs.SubmitJob(request, timeout=ANSWER_SECONDS)).job
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            raise
        return None


async def _is_well(mesh: Mesh) -> bool:
    answer = await v1.MeshServiceStub(mesh.channel).CheckMesh(v1.CheckMeshRequest(), timeout=ANSWER_SECONDS)
    judged = [finding for finding in answer.findings if finding.check in ("broker", "streams")]
    return all(finding.severity == v1.SEVERITY_OK for finding in judged)


async def _says(mesh: Mesh, words: str) -> bool:
    answer = await v1.MeshServiceStub(mesh.channel).CheckMesh(v1.CheckMeshRequest(), timeout=ANSWER_SECONDS)
    return any(words in finding.message for finding in answer.findings)


async def _started(mesh: Mesh, job_id: str) -> bool:
    return (await mesh.get(job_id)).progress.done > 5


async def _all_whole(cluster: NatsCluster) -> None:
    for stream in (names.JOBS_STREAM, names.EVENTS_STREAM, LEDGER, WORKERS):
        await cluster.until_whole(stream)
