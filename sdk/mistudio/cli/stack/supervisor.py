"""Starts and stops the supervisor process."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from mistudio.blocking.client import Client
from mistudio.cli.exits import Exit
from mistudio.cli.stack.home import supervisor_log
from mistudio.cli.stack.state import is_alive, read_state
from mistudio.errors import FailedPreconditionError, MistudioError, UnavailableError

_MODULE = "mistudio_runtime.stack"
_POLL = 0.2
_NO_WORKERS = ("broker", "gateway")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\S+ ", re.MULTILINE)


def command(profile: str, scale: Sequence[str] = ()) -> list[str]:
    """Returns the supervisor's command line; -P, so that the folder we stand in shadows no module.

    Raises FailedPreconditionError where only the client is installed.
    """
    if importlib.util.find_spec("mistudio_runtime") is None:
        raise FailedPreconditionError(
            'only the client is installed here; install the services: pip install "mistudio[all]"'
        )
    scaled = [part for one in scale for part in ("--scale", one)]
    return [sys.executable, "-P", "-m", _MODULE, "--profile", profile, *scaled]


def start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts a supervisor with a new log, in a session of its own: a Ctrl-C here is none there."""
    log = supervisor_log()
    log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_name(f"{log.name}.1"))
    log.touch(0o600)
    with log.open("ab") as output:  # what it writes itself, and what only its interpreter does
        return subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
            [*arguments, "--log", str(log)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_ready(process: subprocess.Popen[bytes], timeout: float) -> str:
    """Waits until the gateway of a supervisor answers; returns its address.

    Raises MistudioError with the end of the log if the supervisor ends first (click.UsageError if it was started
    wrongly), and UnavailableError after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = _TIME.sub("", tail(supervisor_log()))
            if process.returncode == Exit.USAGE:
                raise click.UsageError(said.removeprefix("mistudio: "))
            raise MistudioError(f"the mesh did not start (exit code {process.returncode})\n{said}")
        state = read_state()
        if state is not None and state.pid == process.pid and state.ready:
            with Client(state.gateway) as client:
                if client.ready(_POLL):
                    return state.gateway
        time.sleep(_POLL)
    raise UnavailableError(f"the gateway does not answer after {timeout:.0f} s; see mistudio logs", reason="SLOW_START")


def wait_for_workers(gateway: str, timeout: float) -> None:
    """Waits until as many workers are attached as were started, but no longer than `timeout` seconds."""
    state = read_state()
    expected = sum(process.name not in _NO_WORKERS for process in state.processes) if state else 0
    deadline = time.monotonic() + timeout
    with Client(gateway) as client:
        while len(client.workers.list()) < expected and time.monotonic() < deadline:
            time.sleep(_POLL)


def stop(pid: int, timeout: float, *, ended: Callable[[], bool] | None = None) -> bool:
    """Asks a supervisor to drain and end; False if it still runs after `timeout` seconds."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    over = ended or (lambda: not is_alive(pid))
    deadline = time.monotonic() + timeout
    while not over():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def kill(pid: int) -> None:
    """Lets a supervisor kill what it is waiting for."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)  # a Ctrl-C kills only what drains already
        os.kill(pid, signal.SIGINT)


def tail(log: Path, lines: int = 20) -> str:
    """Returns the last lines of a log; empty if there is none."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
