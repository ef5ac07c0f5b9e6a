"""CPU seconds of processes: what a job costs, however busy the machine is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil


def cpu_seconds(pid: int) -> float:
    """Returns the user and system time of a process and its living descendants."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system
    return total


class CpuMeter:
    """What named groups of processes have used since it was made."""

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        """Takes the process ids of each group."""
        self._groups = {name: list(pids) for name, pids in groups.items()}
        self._before = self._read()

    def seconds(self) -> dict[str, float]:
        """Returns the CPU seconds of each group so far."""
        return {name: now - self._before[name] for name, now in self._read().items()}

    def _read(self) -> dict[str, float]:
        return {name: sum(map(cpu_seconds, pids)) for name, pids in self._groups.items()}
