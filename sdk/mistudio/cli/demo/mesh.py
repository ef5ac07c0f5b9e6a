"""The mesh that the demo runs on: one that is there, or one of its own for as long as it runs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mistudio.cli.session import Session
from mistudio.cli.stack import supervisor

_START_SECONDS = 120.0
_DRAIN_SECONDS = 60.0


@contextmanager
def mesh(session: Session) -> Iterator[bool]:
    """Makes sure that a gateway answers at `session.gateway`; yields whether the mesh is the demo's own.

    Its own mesh is drained and gone when the block is left, however that happens short of SIGKILL. Raises
    MistudioError if it does not start.
    """
    with session.client() as client:
        if client.ready(0.5):
            session.say(f"using the mesh at {session.gateway}")
            yield False
            return
    session.say("starting a mesh: broker, gateway and workers …", "dim")
    with _ended_like_ctrl_c():
        process = supervisor.start(supervisor.command("minimal"))
        try:
            session.gateway = supervisor.wait_until_ready(process, _START_SECONDS)
            yield True
        finally:
            _stop(session, process)


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Lets SIGTERM and a closed terminal unwind as Ctrl-C does, so that the mesh is stopped then, too."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(session: Session, process: subprocess.Popen[bytes]) -> None:
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        session.say("stopping the mesh …", "dim")
        if not supervisor.stop(process.pid, _DRAIN_SECONDS, ended=lambda: process.poll() is not None):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
