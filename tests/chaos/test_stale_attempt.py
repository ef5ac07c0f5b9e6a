"""A worker that stood still for longer than ack_wait: what it then says of its attempt is refused."""

from __future__ import annotations

import signal
from pathlib import Path

import nats

from chaos.audit_events import audit_events
from chaos.findings import Findings
from chaos.stored import read_stored
from mistudio import v1
from support.broker import NatsServer
from support.mesh import Mesh, count_job
from support.waiting import eventually


async def test_the_reports_of_a_frozen_worker_are_refused_when_it_thaws(home: Path, nats_server: NatsServer) -> None:
    async with Mesh(home, nats_server.url) as mesh:
        mesh.environment["MISTUDIO_ACK_WAIT_SECONDS"] = "4"  # so that a slow machine takes no lease by itself
        await mesh.gateway()
        frozen = await mesh.toy("toy@1")
        job = await mesh.submit(count_job(400))
        await eventually(lambda: _done(mesh, job.id, 5), what="the job has made progress")
        frozen.send_signal(signal.SIGSTOP)
        await mesh.toy("toy@2")
        await eventually(lambda: _attempts(mesh, job.id, 2), what="another worker runs it")
        frozen.send_signal(signal.SIGCONT)
        await eventually(lambda: _idle(mesh, "toy@1"), what="the frozen worker has given up its attempt")
        done = await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED)
    assert [attempt.outcome for attempt in done.attempts] == [v1.ATTEMPT_OUTCOME_LOST, v1.ATTEMPT_OUTCOME_SUCCEEDED]
    async with await nats.connect(nats_server.url) as client:
        stored = await read_stored(client.jetstream())
    findings = Findings()
    audit_events(stored, {}, findings)
    assert findings.broken() == []


async def _done(mesh: Mesh, job_id: str, steps: int) -> bool:
    return (await mesh.get(job_id)).progress.done > steps


async def _attempts(mesh: Mesh, job_id: str, number: int) -> bool:
    return len((await mesh.get(job_id)).attempts) == number


async def _idle(mesh: Mesh, name: str) -> bool:
    answer = await v1.WorkerServiceStub(mesh.channel).ListWorkers(v1.ListWorkersRequest(), timeout=5)
    return any(status.worker.name == name and not status.running for status in answer.workers)
