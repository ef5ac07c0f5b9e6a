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


def groups_left(orders: Iterable[str]) -> set[int]:
    """Returns the groups that had begun and not ended when the orders ceased; a torn last line counts for nothing."""
    groups: set[int] = set()
    for line in orders:
        if line[1:-1].isdecimal() and line.endswith("\n"):
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    return groups


def main() -> None:
    """Waits for the worker's end, then kills and removes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a service manager tells all processes; this one is the last to go
    for group in groups_left(sys.stdin):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
