"""A job's log through the SDK and the command, from a gateway over a real socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from client_servicers import Mesh, serve

import mistudio
from mistudio import v1
from mistudio.cli.main import run

# Whoever runs the tests in the background of a shell has SIGINT ignored, and children inherit that.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from mistudio.cli import main
main()
"""
RUNNING = v1.Job(
    id="job-1", kind="train_sae", state=v1.JOB_STATE_RUNNING, attempts=[v1.Attempt(number=1, worker="toy@1")]
)


@pytest.fixture
def mesh() -> Mesh:
    """A mesh with a job that runs and has logged three lines."""
    mesh = Mesh()
    mesh.add("job-1")
    mesh.happens("job-1", job=RUNNING, attempt=1)
    for level, message in (("info", "one"), ("warning", "two"), ("info", "three")):
        mesh.happens("job-1", log=v1.LogLine(level=level, message=message), attempt=1)
        mesh.happens("job-1", progress=v1.Progress(fraction=0.5, stage="train"), attempt=1)
    return mesh


@pytest.fixture
def gateway(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serve(mesh) as address:
        monkeypatch.setenv("MISTUDIO_GATEWAY", address)
        yield address


def succeed(mesh: Mesh) -> None:
    done = v1.Job(id="job-1", kind="train_sae", state=v1.JOB_STATE_SUCCEEDED, attempts=RUNNING.attempts)
    mesh.happens("job-1", log=v1.LogLine(level="info", message="four"), attempt=1)
    mesh.happens("job-1", job=done, attempt=1)


@pytest.mark.usefixtures("gateway")
def test_the_log_of_a_running_job_ends_with_the_present(mesh: Mesh) -> None:
    mesh.break_after = [2]
    with mistudio.Client() as client:
        job = client.jobs.get("job-1")
        assert [line.message for line in job.logs()] == ["one", "two", "three"]
        assert mesh.watched_from == [0, 2]
        assert [line.message for line in job.logs(level="warning")] == ["two"]
        assert [line.message for line in client.jobs.logs("job-1", tail=1, changes=True)] == ["three"]
        assert [line.worker for line in client.jobs.logs("job-1", attempt=1)] == ["toy@1"] * 3
        with pytest.raises(mistudio.NotFoundError):
            list(client.jobs.logs("job-2"))


@pytest.mark.usefixtures("gateway")
def test_following_goes_on_where_the_tail_ended(mesh: Mesh) -> None:
    with mistudio.Client() as client:
        lines = client.jobs.logs("job-1", follow=True, tail=1)
        assert next(lines).message == "three"
        succeed(mesh)
        assert [line.message for line in lines] == ["four"]
        assert mesh.watched_from == [0, 6]
        assert [line.message for line in client.jobs.logs("job-1", follow=True, tail=2)] == ["three", "four"]
        assert mesh.watched_from == [0, 6, 0]


@pytest.mark.usefixtures("gateway")
async def test_the_asyncio_client_does_the_same(mesh: Mesh) -> None:
    async with mistudio.AsyncClient() as client:
        assert [line.message async for line in client.jobs.logs("job-1", tail=2)] == ["two", "three"]
        job = await client.jobs.get("job-1")
        succeed(mesh)
        lines = [line.message async for line in job.logs(follow=True, changes=True)]
        assert lines == ["RUNNING: claimed by toy@1 as attempt 1", "one", "two", "three", "four", "SUCCEEDED"]


@pytest.mark.usefixtures("gateway")
def test_the_command_prints_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "logs", "job-1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[len("1970-01-01 00:00:00 ") :] for line in lines] == [
        "info    #1 toy@1  RUNNING: claimed by toy@1 as attempt 1",
        "info    #1 toy@1  one",
        "warning #1 toy@1  two",
        "info    #1 toy@1  three",
    ]
    assert run(["jobs", "logs", "job-1", "-n", "1"]) == 0
    assert capsys.readouterr().out.endswith("three\n")
    assert run(["jobs", "logs", "job-1", "--attempt", "2"]) == 0
    assert capsys.readouterr().out == ""
    assert run(["jobs", "logs", "job-2"]) == 4


@pytest.mark.usefixtures("gateway")
def test_the_command_prints_an_object_a_line_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "logs", "job-1", "--json", "--level", "warning"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "job_id": "job-1",
        "sequence": 4,
        "time": "1970-01-01T00:00:00+00:00",
        "level": "warning",
        "message": "two",
        "attempt": 1,
        "worker": "toy@1",
        "state": None,
    }


def test_ctrl_c_stops_following_and_nothing_else(mesh: Mesh, gateway: str) -> None:
    command = [sys.executable, "-u", "-c", INTERRUPTIBLE, "jobs", "logs", "job-1", "-f"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as following:
        assert following.stdout is not None
        while "three" not in following.stdout.readline():
            continue
        following.send_signal(signal.SIGINT)
        _, err = following.communicate()
    assert (following.returncode, err.strip()) == (130, "")
    assert "CancelJob" not in mesh.calls
