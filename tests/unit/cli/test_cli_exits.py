"""Exit codes and messages of the real command in a process of its own, where no gateway answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import mistudio
from mistudio import v1
from mistudio.cli import problems
from mistudio.cli.exits import EPILOG, MEANINGS, Exit, of_error, of_state
from mistudio.states import JobState


@pytest.fixture(scope="module")
def closed() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def mistudio_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mistudio.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_no_gateway(closed: str) -> None:
    ended = mistudio_command("jobs", "list", "--gateway", closed)
    assert ended.returncode == 5
    assert ended.stderr == f"error: no gateway answers at {closed}; start one: mistudio up\n"
    assert ended.stdout == ""


def test_no_gateway_for_scripts(closed: str, tmp_path: Path) -> None:
    ended = mistudio_command("--json", "submit", "collect-garbage", "--dry-run", MISTUDIO_GATEWAY=closed)
    assert ended.returncode == 5
    error = json.loads(ended.stderr)["error"]
    assert (error["code"], error["reason"], error["hint"]) == ("UNAVAILABLE", "NO_GATEWAY", "start one: mistudio up")


def test_usage() -> None:
    ended = mistudio_command("jobs", "lst")
    assert ended.returncode == 2
    assert "No such command 'lst'" in ended.stderr


def test_version_and_help() -> None:
    assert mistudio_command("--version").stdout.startswith("mistudio, version ")
    ended = mistudio_command("--help")
    assert ended.returncode == 0
    assert "130  interrupted by Ctrl-C" in ended.stdout


def test_the_help_lists_every_code() -> None:
    assert set(MEANINGS) == set(Exit)
    assert all(f"{code.value:>3}  " in EPILOG for code in Exit)


def test_every_exception_has_a_code() -> None:
    job = v1.Job(id="job-1")
    assert of_error(mistudio.JobFailedError(job)) == Exit.FAILED
    assert of_error(mistudio.JobCancelledError(job)) == Exit.CANCELLED
    assert of_error(mistudio.InvalidArgumentError("x")) == 3
    assert of_error(mistudio.NotFoundError("x")) == 4
    assert of_error(mistudio.FailedPreconditionError("x")) == 7
    assert of_error(mistudio.ResourceExhaustedError("x")) == 8
    assert of_error(mistudio.InternalError("x")) == 1


def test_states() -> None:
    assert of_state(JobState.SUCCEEDED) == 0
    assert of_state(JobState.FAILED) == 1
    assert of_state(JobState.CANCELLED) == 6


def test_hints() -> None:
    assert problems.hint(mistudio.JobFailedError(v1.Job(id="job-1"))) == "run it again: mistudio jobs retry job-1"
    assert problems.hint(mistudio.NotFoundError("x")) == ""
