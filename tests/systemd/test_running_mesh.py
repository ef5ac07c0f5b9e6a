"""The mesh under a real systemd: started, used, killed, drained."""

from __future__ import annotations

import pytest
from machine import PREFIX, Machine
from served import CALM

import mistudio
from mistudio import JobState
from mistudio.blocking.job import Job
from mistudio.cli.demo.recipe import Recipe, pipeline
from support.waiting import eventually

UNITS = {
    "mistudio.target",
    "mistudio-broker.service",
    "mistudio-gateway.service",
    *(f"mistudio-worker@{service}.service" for service in ("curator", "ingest", "trainer", "extractor")),
}
RECIPE = Recipe(max_rows=60, context_length=64, d_sae=512, k=16, total_tokens=150_000, feature_tokens=50_000)
"""Its training can be stopped in the middle and is over in a minute."""
JOB_SECONDS = 900.0


@pytest.fixture
def client(machine: Machine) -> mistudio.Client:
    return mistudio.Client(machine.address, retry=CALM)


def test_everything_is_active_and_every_queue_served(machine: Machine, client: mistudio.Client) -> None:
    assert machine.active_units() == UNITS
    assert machine.run(f"{PREFIX}/bin/mistudio", "status")
    assert all(queue.workers for queue in client.queues.list())


def test_starting_the_target_returns_when_the_gateway_serves(machine: Machine) -> None:
    machine.systemctl("stop", "mistudio*")
    machine.systemctl("start", "mistudio.target")
    with mistudio.Client(machine.address, retry=mistudio.RetryPolicy(attempts=1)) as client:
        assert client.queues.list()


@pytest.mark.parametrize("unit", sorted(UNITS - {"mistudio.target"}))
def test_processes_have_no_rights(machine: Machine, unit: str) -> None:
    pid = machine.show(unit, "MainPID")
    status = dict(line.split(":\t", 1) for line in machine.run("cat", f"/proc/{pid}/status").splitlines())
    assert status["NoNewPrivs"] == "1"
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["Uid"].split()[0] == machine.run("id", "-u", "mistudio").strip()
    refused = machine.attempt("nsenter", "--mount", f"--target={pid}", "touch", "/usr/bin/mistudio-was-here")
    assert "Read-only file system" in refused.stderr


def test_secrets_are_the_services_own(machine: Machine) -> None:
    assert machine.run("stat", "--format=%a %U %G", "/etc/mistudio/mistudio.env") == "640 root mistudio\n"
    [token] = [line for line in machine.settings().splitlines() if line.startswith("MISTUDIO_TOKEN=")]
    assert token.partition("=")[2] not in machine.journal() + "".join(machine.processes())


async def test_a_killed_worker_is_started_again(machine: Machine, client: mistudio.Client) -> None:
    unit = "mistudio-worker@trainer.service"
    before, restarts = machine.show(unit, "MainPID"), int(machine.show(unit, "NRestarts"))
    machine.systemctl("kill", "--signal=KILL", unit)
    await eventually(lambda: machine.show(unit, "MainPID") not in {before, "0"}, within=60)
    assert int(machine.show(unit, "NRestarts")) == restarts + 1
    new = int(machine.show(unit, "MainPID"))
    await eventually(lambda: new in {worker.worker.pid for worker in client.workers.list()}, within=120)


async def test_one_worker_is_given_options(machine: Machine, client: mistudio.Client) -> None:
    options = "/etc/mistudio/worker-ingest.env"
    machine.run("tee", options, stdin=b"MISTUDIO_WORKER_OPTIONS=--slots datasets=9 --slots processing=3\n")
    machine.systemctl("restart", "mistudio-worker@ingest")

    def slots() -> dict[str, int]:
        pid = int(machine.show("mistudio-worker@ingest", "MainPID"))
        found = [one for one in client.workers.list() if one.worker.pid == pid]
        return {served.queue: served.slots for one in found for served in one.worker.queues}

    await eventually(lambda: slots() == {"datasets": 9, "processing": 3}, within=120)
    assert "Referenced but unset" not in machine.journal()
    machine.run("rm", options)
    machine.systemctl("restart", "mistudio-worker@ingest")


@pytest.mark.parametrize("unit", ["mistudio-broker.service", "mistudio-gateway.service"])
async def test_a_job_survives_a_killed_broker_and_gateway(machine: Machine, client: mistudio.Client, unit: str) -> None:
    job = client.jobs.submit(mistudio.DownloadDataset(bundled="python-topics"))
    machine.systemctl("kill", "--signal=KILL", unit)
    assert job.result(timeout=JOB_SECONDS)
    await eventually(lambda: machine.active_units() == UNITS, within=60)


async def test_stopping_drains_and_a_new_start_goes_on(machine: Machine, client: mistudio.Client) -> None:
    run = client.jobs.submit_pipeline(pipeline(RECIPE))
    training = run.jobs["sae"]
    await eventually(lambda: half_done(training), within=JOB_SECONDS, what="the training is under way")
    machine.systemctl("stop", "mistudio*")
    assert machine.processes() == []
    assert not machine.active_units()
    assert results(machine) == {"success"}
    machine.systemctl("start", "mistudio.target")
    assert training.result(timeout=JOB_SECONDS)
    assert run.jobs["features"].result(timeout=JOB_SECONDS)
    training.refresh()
    assert len(training.proto.attempts) == 2
    assert "resumed after" in machine.run(f"{PREFIX}/bin/mistudio", "jobs", "logs", training.id)


def half_done(job: Job) -> bool:
    job.refresh()
    assert not job.state.is_over, f"{job} was too fast, or failed: {job.proto.failure}"
    return job.state is JobState.RUNNING and job.progress.fraction >= 0.3


def results(machine: Machine) -> set[str]:
    return {machine.show(unit, "Result") for unit in UNITS - {"mistudio.target"}}
