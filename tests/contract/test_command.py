"""The `mistudio` command against a gateway over a real socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from client_servicers import Mesh, serve

from mistudio import v1
from mistudio.cli.main import run

# Whoever runs the tests in the background of a shell has SIGINT ignored, and children inherit that.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from mistudio.cli import main
main()
"""


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


@pytest.fixture
def gateway(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serve(mesh) as address:
        monkeypatch.setenv("MISTUDIO_GATEWAY", address)
        yield address


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("gateway")
def test_submit_prints_the_job(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["submit", "train-sae", "--total-tokens", "1k", "--label", "a=b", "--saes", "d_sae=8,k=2"]) == 0
    (job,) = mesh.jobs.values()
    assert job.spec.train_sae == v1.TrainSae(total_tokens=1000, saes=[v1.SaeSpec(d_sae=8, k=2)])
    assert job.labels == {"a": "b"}
    assert f"follow it: mistudio jobs watch {job.id}" in capsys.readouterr().out


@pytest.mark.usefixtures("gateway")
def test_submit_for_scripts_prints_one_document(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["submit", "train_sae", "--total-tokens", "5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["id"] in mesh.jobs
    assert document["state"] == "JOB_STATE_QUEUED"
    assert document["spec"]["train_sae"]["total_tokens"] == "5"
    assert document["diagnosis"] == ""


@pytest.mark.usefixtures("gateway")
def test_a_refused_spec_names_each_bad_field(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["submit", "train_sae"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "job.spec.train_sae.total_tokens: must be at least 1" in said.err
    assert run(["submit", "train_sae", "--json"]) == 3
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["violations"][0]["field"] == "job.spec.train_sae.total_tokens"
    assert not mesh.jobs


@pytest.mark.usefixtures("gateway")
def test_a_full_queue_says_when_to_come_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["submit", "collect_garbage", "--name", "full"]) == 8
    assert "the queue is full; try again in 7 s" in capsys.readouterr().err


@pytest.mark.usefixtures("gateway")
def test_validate_only_submits_nothing(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["submit", "collect_garbage", "--validate-only"]) == 0
    assert "it would go to queue training" in capsys.readouterr().out
    assert not mesh.jobs


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(
    ("state", "code"), [(v1.JOB_STATE_SUCCEEDED, 0), (v1.JOB_STATE_FAILED, 1), (v1.JOB_STATE_CANCELLED, 6)]
)
def test_watching_ends_as_the_job_does(
    mesh: Mesh, capsys: pytest.CaptureFixture[str], state: v1.JobState.ValueType, code: int
) -> None:
    mesh.add("job-1")
    mesh.runs_to("job-1", state, failure=v1.Failure(reason="R", message="change k"), artifact_ids=["sae-1"])
    assert run(["jobs", "watch", "job-1"]) == code
    said = capsys.readouterr().out
    assert "75%  train  750/1k tokens  100/s" in said
    assert ("change k" in said) == (state == v1.JOB_STATE_FAILED)
    assert ("sae-1" in said) == (state == v1.JOB_STATE_SUCCEEDED)


@pytest.mark.usefixtures("gateway")
def test_watching_for_scripts_prints_every_event_on_a_line(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    mesh.add("job-1")
    mesh.runs_to("job-1", v1.JOB_STATE_SUCCEEDED)
    mesh.break_after = [3]
    assert run(["--json", "jobs", "watch", "job-1"]) == 0
    events = lines(capsys.readouterr().out)
    assert [event["sequence"] for event in events] == [str(number) for number in range(1, 8)]


def test_ctrl_c_stops_watching_and_nothing_else(mesh: Mesh, gateway: str) -> None:
    mesh.add("job-1")
    mesh.happens("job-1", job=v1.Job(id="job-1", kind="train_sae", state=v1.JOB_STATE_RUNNING))
    command = [sys.executable, "-u", "-c", INTERRUPTIBLE, "jobs", "watch", "job-1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as watching:
        assert watching.stdout is not None
        assert "running" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate()
    assert watching.returncode == 130
    assert out == "detached; the work goes on. Watch again: mistudio jobs watch job-1\n"
    assert err == ""
    assert "CancelJob" not in mesh.calls


@pytest.mark.usefixtures("gateway")
def test_lists_are_as_long_as_asked(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        mesh.add(f"job-{number}", v1.JOB_STATE_FAILED if number else v1.JOB_STATE_QUEUED)
    assert run(["jobs", "list", "--json", "--limit", "3"]) == 0
    assert [job["id"] for job in json.loads(capsys.readouterr().out)["jobs"]] == ["job-0", "job-1", "job-2"]
    assert run(["jobs", "list", "--state", "queued"]) == 0
    said = capsys.readouterr().out
    assert "job-0" in said
    assert "job-1" not in said


@pytest.mark.usefixtures("gateway")
def test_control(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    mesh.add("job-1")
    assert run(["jobs", "cancel", "job-1"]) == 0
    assert "cancelled" in capsys.readouterr().out
    assert run(["jobs", "cancel", "job-1"]) == 7
    assert run(["jobs", "retry", "job-1"]) == 0
    assert mesh.jobs["job-1"].state == v1.JOB_STATE_QUEUED
    assert run(["jobs", "get", "job-2"]) == 4


@pytest.mark.usefixtures("gateway")
def test_queues_and_routes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["queues"]) == 0
    assert "training: nobody serves it; start a worker: mistudio up" in capsys.readouterr().out
    assert run(["queues", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["queues"][0]["name"] == "training"
    assert run(["route", "train_sae"]) == 0
    assert "train_sae without parameters" in capsys.readouterr().out
    assert run(["route", "train_sae", "--params", '{"seed": 3}']) == 0
    assert "train_sae with parameters" in capsys.readouterr().out
    assert run(["route", "train_sae", "--seed", "3"]) == 0
    assert "train_sae with parameters" in capsys.readouterr().out


@pytest.mark.usefixtures("gateway")
def test_what_this_mesh_cannot_do() -> None:
    assert run(["artifacts", "list"]) == 10
