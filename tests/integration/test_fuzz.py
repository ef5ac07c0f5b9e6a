"""Every public rpc is sent requests that nobody means to send: each is answered precisely, and the gateway lives on.

Short and always the same in CI; `make fuzz` sends many more, at random. What it says at a failure repeats it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from mistudio import v1
from mistudio_gateway import job_ids
from mistudio_gateway.validation.request import VALIDATORS
from mistudio_runtime.queues import load_queues
from mistudio_runtime.schedules import load_schedules
from support.broker import NatsServer
from support.mesh import MODEL, TOKENS, Mesh, count_job, quick_job
from support.odd_messages import OddMessages
from support.rpc_methods import call, method_named, public_methods, waits
from support.waiting import eventually

EXAMPLES = int(os.environ.get("MISTUDIO_FUZZ_EXAMPLES", "30"))
"""Requests to each rpc; with a number of its own the run is random."""
AT_RANDOM = "MISTUDIO_FUZZ_EXAMPLES" in os.environ
UNARY_SECONDS, STREAM_SECONDS = 30.0, 0.2
IMPORT_SECONDS = 120.0
PRECISE = set(grpc.StatusCode) - {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED}
OF_GRPC = {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED}
"""Answers without the catalogue's details."""
VERBS = {"queued": "", "paused": "Pause", "cancelled": "Cancel", "done": ""}
WORKER, ALL = "toy@1", "all@1"

JOBS = [job_ids.job_id(name) for name in VERBS]
ARTIFACTS = [MODEL, TOKENS, f"sae-{job_ids.job_id('queued').removeprefix('job-')}-0"]
QUEUES, KINDS = load_queues().names, tuple(VALIDATORS)
ODD = OddMessages(
    words={
        "job_id": JOBS,
        "job_ids": JOBS,
        "depends_on": JOBS,
        "request_id": tuple(VERBS),
        "artifact_id": ARTIFACTS,
        "queue": QUEUES,
        "queues": QUEUES,
        "kind": KINDS,
        "kinds": KINDS,
        "worker": [WORKER, ALL, "odd@1"],
        "schedule": tuple(load_schedules(load_queues())),
        "hook_points": ["count", "crash", "layer.0.resid_post"],
        "order_by": ["create_time desc", "priority"],
        "events": ["job", "progress", "log"],
        "grpc_services": ["mistudio.v1.CatalogService"],
        "address": ["127.0.0.1:9", "unix:/nowhere"],
    },
    templates=[
        count_job(3),
        count_job(3, "crash"),
        quick_job(),
        quick_job().spec,
        v1.ArtifactRef(artifact_id=MODEL),
        v1.ArtifactRef(artifact_id=TOKENS),
        v1.Worker(name="odd@1"),
    ],
)
REGISTER = v1.AttachRequest(register=v1.Register(worker=v1.Worker(name="odd@1"))).SerializeToString()
METHODS = sorted(public_methods(), key=lambda method: method.name == "DrainWorker")  # it ends the worker


@dataclass
class Target:
    """A mesh to send odd requests to."""

    mesh: Mesh
    channel: grpc.Channel


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway, a toy worker, and a worker that answers the forwarded services."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server, asyncio.Runner() as runner:
        mesh = Mesh(tmp_path_factory.mktemp("mesh") / "home", server.url)
        del mesh.environment["MISTUDIO_SCHEDULES_FILE"]  # those that come with the runtime
        mesh.environment["MISTUDIO_ACK_WAIT_SECONDS"] = "10"  # a worker that is away for a moment tests nothing
        try:
            runner.run(_begin(mesh))
            with grpc.insecure_channel(mesh.address) as channel:
                call(channel, method_named("ListFeatures"), [b""], IMPORT_SECONDS)  # it imports torch at its first call
                yield Target(mesh, channel)
        finally:
            runner.run(mesh.__aexit__())


async def _begin(mesh: Mesh) -> None:
    await mesh.gateway()
    for name, verb in VERBS.items():
        await mesh.submit(quick_job() if name == "done" else count_job(100_000), name)
        if verb:
            await mesh.control(verb, job_ids.job_id(name))
    mesh.start("-m", "mistudio_runtime.worker", "--services", "all", "--queues", "high_priority", "--name", ALL)
    await mesh.toy(WORKER)
    await mesh.until(job_ids.job_id("done"), v1.JOB_STATE_SUCCEEDED)
    await eventually(lambda: mesh.attached(ALL), within=60, what="the services are attached")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name.removeprefix("mistudio.v1."))
def test_whatever_is_sent_is_answered_precisely(target: Target, method: MethodDescriptor) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=not AT_RANDOM,
        database=None,
        print_blob=AT_RANDOM,
        deadline=None,
        phases=[Phase.generate],  # a smaller example would cost minutes of waiting streams
        suppress_health_check=list(HealthCheck),
    )
    @given(_requests(method))
    def send(requests: list[bytes]) -> None:
        seconds = STREAM_SECONDS if waits(method) else UNARY_SECONDS
        answer = call(target.channel, method, requests, seconds)
        note(f"{method.name} was answered {answer}")
        assert answer.status in PRECISE
        assert waits(method) or answer.status is not grpc.StatusCode.DEADLINE_EXCEEDED
        assert answer.catalogued or answer.status in OF_GRPC
        assert bool(answer.fields) == (answer.status is grpc.StatusCode.INVALID_ARGUMENT)

    send()
    assert not _harm(target.mesh.home / "process-0.log")


def test_the_gateway_lives_on(target: Target) -> None:
    answer = v1.QueueServiceStub(target.channel).ListQueues(v1.ListQueuesRequest(), timeout=10)
    assert {queue.name for queue in answer.queues} == set(QUEUES)
    assert target.mesh.processes[0].poll() is None
    assert not _harm(target.mesh.home / "process-0.log")


def _requests(method: MethodDescriptor) -> st.SearchStrategy[list[bytes]]:
    one = ODD.wire(method.input_type)
    if not method.client_streaming:
        return one.map(lambda request: [request])
    many = st.lists(one, min_size=1, max_size=6)
    return many | many.map(lambda requests: [REGISTER, *requests])


def _harm(log: Path) -> list[str]:
    """Returns the lines of a log that no request may bring about."""
    signs = ("Traceback", '"level": "error"', '"level":"error"', "never retrieved")
    return [line for line in log.read_text().splitlines() if any(sign in line for sign in signs)]
