"""A process of the mesh that is started again whenever it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil

_RESTART_SECONDS = 0.3
_STOP_SECONDS = 40.0


class Member:
    """`python ARGUMENTS`, kept alive. Its output goes to one file over all its lives."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        """Takes how to start it."""
        self.name = name
        self.away_seconds = _RESTART_SECONDS
        """How long it stays away after its next end."""
        self.exits: list[int] = []
        """Exit codes of its lives that ended by themselves."""
        self._arguments = arguments
        self._environment = environment
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._ends = False

    @property
    def pid(self) -> int | None:
        """Process id, or None while it is away."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def start(self) -> None:
        """Begins to keep it alive."""
        self._ends = False
        self._keeping = asyncio.create_task(self._keep())

    def signal(self, number: signal.Signals) -> bool:
        """Sends a signal; returns False if it is away."""
        if (pid := self.pid) is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    def children(self) -> list[psutil.Process]:
        """Returns the processes of its running jobs."""
        return [child for server in self.forkservers() for child in _children_of(server)]

    def forkservers(self) -> list[psutil.Process]:
        """Returns the process that starts its jobs' processes, if there is one."""
        if (pid := self.pid) is None:
            return []
        with contextlib.suppress(psutil.Error):
            return [child for child in _children_of(psutil.Process(pid)) if "forkserver" in " ".join(child.cmdline())]
        return []

    async def halt(self) -> None:
        """Kills it with all its children, and keeps it away until `start`."""
        self._ends = True
        family = [process for server in self.forkservers() for process in (*_children_of(server), server)]
        self.signal(signal.SIGKILL)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self._keeping is not None:
            await self._keeping

    async def stop(self) -> int | None:
        """Ends it in order and for good; returns its exit code, None if it had to be killed."""
        self._ends = True
        if self._keeping is None:
            return 0
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(self._keeping), _STOP_SECONDS)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._keeping
            return None
        return self._process.returncode if self._process else 0

    async def _keep(self) -> None:
        while not self._ends:
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, *self._arguments, env=self._environment, stdout=log, stderr=log
                )
            code = await self._process.wait()
            if self._ends:
                return
            if code != -signal.SIGKILL:
                self.exits.append(code)
            away, self.away_seconds = self.away_seconds, _RESTART_SECONDS
            await asyncio.sleep(away)


def _children_of(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.Error:
        return []
