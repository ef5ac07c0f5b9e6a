"""What other commands of the home read about the stack that runs: <home>/run/stack.json."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mistudio_runtime.processes.lock import FileLock, is_alive
from mistudio_runtime.processes.private_files import read_json, write_private, write_private_json


@dataclass(frozen=True)
class ProcessRecord:
    """One process of the stack."""

    name: str
    pid: int | None
    log: str


@dataclass(frozen=True)
class StackRecord:
    """A stack. The file is its owner's only: the broker's URL holds a password."""

    pid: int
    """Of the supervisor; SIGTERM to it stops the stack."""
    profile: str
    gateway: str
    """Address for clients."""
    nats_url: str
    processes: tuple[ProcessRecord, ...]
    started: str
    """ISO 8601, UTC."""
    ready: bool = False
    """Whether the gateway serves and all workers have attached to it."""

    def write(self, home: Path) -> None:
        """Replaces the file in one step."""
        write_private_json(stack_path(home), dataclasses.asdict(self))

    def summary(self) -> str:
        """Says in one sentence what runs."""
        names = ", ".join(process.name for process in self.processes)
        return f"profile {self.profile} at {self.gateway}, pid {self.pid}, since {self.started}: {names}"


def stack_path(home: Path) -> Path:
    """Returns where the record lies."""
    return home / "run" / "stack.json"


def stack_lock_path(home: Path) -> Path:
    """Returns the lock that a stack and its processes hold."""
    return home / "run" / "stack.lock"


def token_path(home: Path) -> Path:
    """Returns where the token lies that workers of this home show to the gateway."""
    return home / "run" / "token"


def read_stack(home: Path) -> StackRecord | None:
    """Returns the stack that runs in a home; None if none does, whatever a killed one left behind."""
    record = _parse(read_json(stack_path(home)) or {})
    return record if record and is_alive(record.pid) and FileLock.is_held(stack_lock_path(home)) else None


def write_token(home: Path, token: str) -> None:
    """Keeps the worker token for workers that are started by hand."""
    write_private(token_path(home), token)


def discover_token(home: Path) -> str | None:
    """Returns the token of the stack that runs in a home, for a worker that joins it; None without a stack."""
    if read_stack(home) is None:
        return None
    try:
        return token_path(home).read_text(encoding="utf-8")
    except OSError:
        return None


def remove_record(home: Path) -> None:
    """Takes back what the stack wrote about itself."""
    stack_path(home).unlink(missing_ok=True)
    token_path(home).unlink(missing_ok=True)


def _parse(content: dict[str, Any]) -> StackRecord | None:
    try:
        processes = tuple(ProcessRecord(row["name"], row["pid"], row["log"]) for row in content["processes"])
        fields = {name: content[name] for name in ("pid", "profile", "gateway", "nats_url", "started", "ready")}
        return StackRecord(processes=processes, **fields) if isinstance(content["pid"], int) else None
    except (KeyError, TypeError):
        return None
