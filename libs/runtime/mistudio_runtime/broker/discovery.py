"""How processes of one home find its embedded broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mistudio_runtime.broker.binary import BrokerError
from mistudio_runtime.processes.lock import FileLock, is_alive
from mistudio_runtime.processes.private_files import read_json, write_private_json

_PERIOD_SECONDS = 0.1


def lock_path(home: Path) -> Path:
    """Returns the lock that the owner of the home's broker, and the broker itself, hold."""
    return home / "broker" / "lock"


def announce_broker(home: Path, url: str | None, owner_pid: int) -> None:
    """Lets other processes of the home find the broker; without a URL, know that one is being started."""
    write_private_json(_record_path(home), {"url": url, "pid": owner_pid})


def retract_broker(home: Path) -> None:
    """Takes the announcement back."""
    _record_path(home).unlink(missing_ok=True)


def broker_owner(home: Path) -> int | None:
    """Returns the process that owns the home's broker, or None if none lives."""
    record = read_json(_record_path(home)) or {}
    pid = record.get("pid")
    return pid if isinstance(pid, int) and is_alive(pid) and FileLock.is_held(lock_path(home)) else None


def discover_broker(home: Path) -> str | None:
    """Returns the URL of the home's broker, password included, or None if no owner of it lives.

    Files that a killed owner left behind do not count. Under a living owner the URL holds even while the server is
    being started again.
    """
    record = read_json(_record_path(home)) or {}
    url = record.get("url")
    return url if isinstance(url, str) and broker_owner(home) == record.get("pid") else None


async def wait_for_broker(home: Path, timeout: float) -> str:  # noqa: ASYNC109 - part of the sentence below
    """Returns the URL of the home's broker as soon as it runs. Raises BrokerError after `timeout` seconds."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    while (url := discover_broker(home)) is None:
        if clock() >= deadline:
            raise BrokerError(
                f"no broker runs in {home} (waited {timeout:g} s): start one with `mistudio up` or "
                "`python -m mistudio_gateway`, or set MISTUDIO_NATS_URL"
            )
        await asyncio.sleep(_PERIOD_SECONDS)
    return url


def _record_path(home: Path) -> Path:
    return home / "run" / "broker.json"
