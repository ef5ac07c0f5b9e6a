"""CheckMesh with a real broker, a real gateway and real workers: healthy, and with a part missing."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import nats
import pytest

from mistudio import AsyncClient, Client, v1
from mistudio_runtime.broker.inspection import BrokerInspection
from mistudio_runtime.broker.provision import buckets, consumers, provision, streams
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings
from support.broker import NatsServer
from support.findings import bad
from support.mesh import Mesh, count_job
from support.waiting import eventually

CHECKS = ["broker", "streams", "queues", "workers", "jobs", "schedules", "versions", "clocks", "disks", "devices"]
OK, WARNING, PROBLEM = v1.SEVERITY_OK, v1.SEVERITY_WARNING, v1.SEVERITY_PROBLEM


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        yield mesh


async def look(mesh: Mesh, client_version: str = "") -> dict[str, list[v1.Finding]]:
    """Returns the findings that are not about the machine's own disk, by check."""
    request = v1.CheckMeshRequest(client_version=client_version)
    answer = await v1.MeshServiceStub(mesh.channel).CheckMesh(request, timeout=20)
    bad(answer.findings)
    assert list(dict.fromkeys(finding.check for finding in answer.findings)) == CHECKS
    return {check: [one for one in answer.findings if one.check == check] for check in CHECKS}


def worst(findings: list[v1.Finding]) -> v1.Severity.ValueType:
    return max(finding.severity for finding in findings)


async def test_a_mesh_with_a_trainer_and_one_without(mesh: Mesh) -> None:
    await mesh.gateway()
    await mesh.toy("toy@1", "--queues", "high_priority,low_priority")
    job = await mesh.submit(count_job(to=1))
    found = await look(mesh, "0.0.1")
    for check in ("broker", "streams", "jobs"):
        assert worst(found[check]) == OK, found[check]
    assert worst(found["versions"]) == WARNING
    assert found["versions"][0].command == f'pip install --upgrade "mistudio[all]=={version("mistudio")}"'
    training = next(finding for finding in found["queues"] if "training" in finding.message)
    assert training.severity == PROBLEM
    assert training.message == "No worker serves the queue training, and 1 job waits for one."
    assert training.command == "python -m mistudio_trainer"
    await mesh.toy("toy@2", "--queues", "training")
    await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED)
    assert not [finding for finding in (await look(mesh))["queues"] if "training" in finding.message]


async def test_what_a_worker_tells_of_its_machine(mesh: Mesh) -> None:
    await mesh.gateway()
    await mesh.toy()

    async def told() -> v1.HostStatus | None:
        answer = await v1.WorkerServiceStub(mesh.channel).ListWorkers(v1.ListWorkersRequest(), timeout=5)
        (status,) = answer.workers
        return status.host_status if status.HasField("host_status") else None

    host = await eventually(told)
    assert host is not None
    assert [disk.purpose for disk in host.disks] == ["home", "model cache"]
    assert host.disks[0].path == str(mesh.home)
    assert host.disks[0].writable
    assert host.HasField("clock_offset")
    with Client(mesh.address) as client:
        answer = client.mesh.check()
    assert answer.gateway_version == version("mistudio")
    async with AsyncClient(mesh.address) as client:
        again = await client.mesh.check(client_version="")
    assert {finding.check for finding in again.findings} == set(CHECKS)


async def test_a_broker_that_goes_and_comes_back(mesh: Mesh, nats_server: NatsServer) -> None:
    await mesh.gateway()
    await mesh.toy()
    nats_server.kill()

    async def away() -> bool:
        return worst((await look(mesh))["broker"]) == PROBLEM

    await eventually(away)
    found = await look(mesh)
    assert found["broker"][0].message == f"There is no connection to the broker at 127.0.0.1:{nats_server.port}."
    assert worst(found["streams"]) == WARNING
    assert "toy@1" in found["workers"][0].message
    nats_server.start()

    async def back() -> bool:
        found = await look(mesh)
        return worst(found["broker"]) == worst(found["streams"]) == OK

    await eventually(back)


async def test_a_broker_that_answers_nothing(mesh: Mesh, nats_server: NatsServer) -> None:
    await mesh.gateway()
    nats_server.freeze()
    try:
        found = await look(mesh)
    finally:
        nats_server.thaw()
    assert found["broker"][0].message.endswith("is connected, but does not answer.")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="a limit that a running process is given is Linux's")
async def test_a_broker_that_refuses_writes_since_one_failed(mesh: Mesh, nats_server: NatsServer) -> None:
    await mesh.gateway()
    # As a full disk does it, without one: the server's files may not grow.
    resource.prlimit(nats_server.pid, resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))
    await look(mesh)
    resource.prlimit(nats_server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    refused = (await look(mesh))["broker"]
    assert worst(refused) == PROBLEM
    assert "stores nothing more in KV_mistudio_workers (file too large)" in refused[0].message
    nats_server.restart()

    async def stores() -> bool:
        return worst((await look(mesh))["broker"]) == OK

    await eventually(stores)


async def test_what_another_gateway_would_make_otherwise(home: Path, nats_server: NatsServer) -> None:
    table, settings, other = load_queues(), Settings(home=home), Settings(home=home, ack_wait_seconds=33)
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    inspection = BrokerInspection(client, nats_server.url)
    wanted = [*streams(settings), *buckets(settings)]
    assert all(stream.missing for stream in (await inspection.look(wanted)).streams)
    await provision(js, table, other)
    facts = await inspection.look(wanted)
    await inspection.look_at_consumers(facts, consumers(table, settings))
    assert facts.consumers is not None
    assert facts.consumers.differences == ["ack_wait is 33.0, not 10.0"]
    assert [stream.name for stream in facts.streams if stream.differences] == ["KV_mistudio_workers"]
    await provision(js, table, settings)  # as a gateway does that starts
    await js.delete_stream("EVENTS")
    facts = await inspection.look(wanted)
    await inspection.look_at_consumers(facts, consumers(table, settings))
    await inspection.ask_whether_it_stores(facts)
    assert [stream.name for stream in facts.streams if stream.missing] == ["EVENTS"]
    assert not [stream for stream in [*facts.streams, facts.consumers] if stream.differences or stream.refusal]
    assert len(facts.messages) == 60
    await client.close()
