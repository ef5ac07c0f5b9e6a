"""What the supervisor wrote about itself."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mistudio.cli.stack.home import home

_MODULE = "mistudio_runtime.stack"


@dataclass(frozen=True)
class StackProcess:
    """A process that the supervisor started."""

    name: str
    """The service."""
    pid: int
    """Process id; 0 if it has none at the moment."""
    log: str
    """Its log file; empty if it writes to the terminal."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.pid > 0 and is_alive(self.pid)


@dataclass(frozen=True)
class StackState:
    """A stack as its supervisor wrote it down."""

    pid: int
    """The supervisor."""
    profile: str
    """The profile that it was started with."""
    gateway: str
    """Address of its gateway."""
    started: str
    """When, as it wrote it."""
    ready: bool
    """Whether the gateway serves and all workers were started."""
    processes: tuple[StackProcess, ...]
    """What it started."""
    document: dict[str, Any]
    """The file, but for the broker's URL, which holds a password."""

    @property
    def alive(self) -> bool:
        """Whether the supervisor runs, and is one: process ids are used again."""
        return is_alive(self.pid) and _is_supervisor(self.pid)


def read_state() -> StackState | None:
    """Returns the stack of this home; None if there is no file or it is no longer whole."""
    try:
        document = json.loads((home() / "run" / "stack.json").read_text(encoding="utf-8"))
        document.pop("nats_url", None)
        processes = [StackProcess(one["name"], one["pid"] or 0, one.get("log") or "") for one in document["processes"]]
        return StackState(
            pid=int(document["pid"]),
            profile=document["profile"],
            gateway=document["gateway"],
            started=str(document.get("started", "")),
            ready=bool(document.get("ready", True)),
            processes=tuple(processes),
            document=document,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running_stack() -> StackState | None:
    """Returns the stack of this home if its supervisor runs."""
    state = read_state()
    return state if state is not None and state.alive else None


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return True  # no /proc on this system
    return status.rpartition(")")[2].split()[0] != "Z"


def _is_supervisor(pid: int) -> bool:
    try:
        return _MODULE.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True  # no /proc on this system: believe the file
