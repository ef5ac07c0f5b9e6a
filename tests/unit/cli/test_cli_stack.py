"""The files of a mesh on this machine, and the commands that read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistudio.cli.main import run
from mistudio.cli.stack import supervisor
from mistudio.cli.stack.home import home
from mistudio.cli.stack.state import is_alive, read_state, running_stack

NOBODY = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTUDIO_HOME", str(tmp_path))
    monkeypatch.setenv("MISTUDIO_GATEWAY", NOBODY)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like a supervisor and ends when it is asked to."""
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, "mistudio_runtime.stack"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def write_state(tmp_path: Path, pid: int, **fields: object) -> None:
    state = {
        "pid": pid,
        "profile": "minimal",
        "gateway": NOBODY,
        "nats_url": "",
        "processes": [{"name": "worker", "pid": None, "log": "w.log"}],
        "started": "now",
        "ready": True,
    }
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / "stack.json").write_text(json.dumps(state | fields))


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert home() == tmp_path
    monkeypatch.delenv("MISTUDIO_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert home() == Path("/data/mistudio")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert home() == Path.home() / ".local/share/mistudio"


def test_no_file_a_broken_one_and_a_dead_pid_are_no_stack(tmp_path: Path) -> None:
    assert read_state() is None
    write_state(tmp_path, os.getpid(), processes="x")
    assert read_state() is None
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    write_state(tmp_path, ended.pid)
    assert read_state() is not None
    assert running_stack() is None


def test_a_pid_that_is_another_program_s_is_no_stack(tmp_path: Path) -> None:
    write_state(tmp_path, os.getpid())
    assert is_alive(os.getpid())
    assert running_stack() is None


def test_a_running_supervisor_is_found(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    write_state(tmp_path, sleeper.pid)
    state = running_stack()
    assert state is not None
    assert not state.processes[0].alive


def test_a_second_up_says_what_runs(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(tmp_path, sleeper.pid)
    assert run(["up"]) == 0
    assert f"runs already (profile minimal), gateway {NOBODY}, pid {sleeper.pid}: worker" in capsys.readouterr().out
    assert run(["up", "--profile", "full"]) == 7
    assert "for profile full stop it first: mistudio down" in capsys.readouterr().out
    assert run(["up", "--scale", "worker=1"]) == 0
    assert run(["up", "--scale", "worker=2"]) == 7
    assert "for profile minimal worker=2 stop it first" in capsys.readouterr().out


def test_a_wrong_profile_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["up", "--detach", "--profile", "ful"]) == 2
    assert "there is no profile 'ful'; choose one of minimal" in capsys.readouterr().err


def test_down_stops_the_supervisor(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(tmp_path, sleeper.pid)
    assert run(["down", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"stopped": True, "unfinished": None, "left": []}
    assert sleeper.wait() != 0
    assert run(["down"]) == 0
    assert capsys.readouterr().out == "no mesh runs here\n"


def test_the_brokers_password_is_not_shown(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(tmp_path, sleeper.pid, nats_url="nats://mistudio:hidden-word@127.0.0.1:1")
    assert run(["status", "--json"]) == 5
    assert run(["up", "--json"]) == 0
    assert "hidden-word" not in capsys.readouterr().out


def test_down_by_force_asks_and_then_kills(tmp_path: Path) -> None:
    code = """
import signal
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: None)
print("up", flush=True)
assert {signal.sigwait({signal.SIGTERM, signal.SIGINT}) for _ in range(2)} == {signal.SIGTERM, signal.SIGINT}
"""
    blocked = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))\n{code}"
    command = [sys.executable, "-c", blocked, "mistudio_runtime.stack"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        write_state(tmp_path, process.pid)
        assert run(["down", "--force"]) == 0
        assert process.wait() == 0


def test_down_says_what_it_requeued(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(tmp_path, sleeper.pid)
    left = {"pid": sleeper.pid, "requeued": [{"id": "job-1", "kind": "train_sae"}], "queued": 2, "paused": 1}
    (tmp_path / "run" / "unfinished.json").write_text(json.dumps(left))
    assert run(["down"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "the mesh is down (1 process)",
        "requeued 1 job; the next mistudio up goes on with:",
        "  job-1  train_sae",
        "2 jobs waiting in the queues, kept for the next mistudio up",
        "1 job paused: mistudio jobs resume JOB",
    ]


def test_down_names_a_process_that_was_left(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(tmp_path, sleeper.pid, processes=[{"name": "worker", "pid": os.getpid(), "log": ""}])
    assert run(["down"]) == 1
    assert f"still running: worker (pid {os.getpid()})" in capsys.readouterr().out


def test_status_without_a_mesh(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status"]) == 5
    assert f"no gateway answers at {NOBODY}; start one: mistudio up" in capsys.readouterr().out
    assert run(["status", "--json"]) == 5
    assert json.loads(capsys.readouterr().out)["answers"] is False


def test_a_supervisor_that_ends_at_once_shows_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    process = supervisor.start(
        [sys.executable, "-c", "import sys; sys.exit('2026-01-02T03:04:05.678+00:00 the port is taken')"]
    )
    with pytest.raises(Exception, match=r"did not start \(exit code 1\)\nthe port is taken"):
        supervisor.wait_until_ready(process, 60)


def test_the_command_of_the_supervisor() -> None:
    assert supervisor.command("full", ["trainer=2"])[1:] == [
        "-P",
        "-m",
        "mistudio_runtime.stack",
        "--profile",
        "full",
        "--scale",
        "trainer=2",
    ]
