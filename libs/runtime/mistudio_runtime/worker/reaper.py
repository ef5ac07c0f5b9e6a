"""Ends what a worker leaves behind when it is gone, however it died: the process groups of its jobs, and its folder.

Usage: reaper.py FOLDER

stdin is the lifeline and takes orders, a line each: "+PID" and "-PID" note that a job's process group has begun and
ended. End of file means that the worker is gone.

Standard library only and started with -I -S: it is up in milliseconds and takes little memory.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

PROCESSES = "/proc"


def groups_left(orders: Iterable[str]) -> set[int]:
    """Returns the groups that had begun and not ended when the orders ceased; a torn last line counts for nothing."""
    groups: set[int] = set()
    for line in orders:
        if line[1:-1].isdecimal() and line.endswith("\n"):
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    return groups


def strays(folder: str) -> list[int]:
    """Returns the processes that were started with their temporary files in `folder`, or deeper: none but a job's are.

    This finds those that have left their group and lost their parent, where the system shows the environment.
    """
    pids = [int(name) for name in _listed(PROCESSES) if name.isdecimal()]
    return [pid for pid in pids if any(_within(entry, folder) for entry in _environment(pid))]


def _within(entry: bytes, folder: str) -> bool:
    mark = f"TMPDIR={folder}".encode()
    return entry == mark or entry.startswith(mark + b"/")


def _environment(pid: int) -> list[bytes]:
    with suppress(OSError), open(f"{PROCESSES}/{pid}/environ", "rb") as file:  # noqa: PTH123 - no pathlib here
        return file.read().split(b"\0")
    return []


def _listed(folder: str) -> list[str]:
    with suppress(OSError):
        return os.listdir(folder)  # noqa: PTH208 - no pathlib here
    return []


def kill_strays(folder: str) -> None:
    """Kills them."""
    for pid in strays(folder):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Waits for the worker's end, then kills and removes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a service manager tells all processes; this one is the last to go
    for group in groups_left(sys.stdin):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    kill_strays(sys.argv[1])
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
