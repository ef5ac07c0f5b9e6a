"""One process behind a guard: it ends when its owner does, however the owner ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from mistudio_runtime.processes.spec import ProcessSpec, ProcessStartError

MAX_LINE_BYTES = 64 * 1024
_QUOTED_LINES = 12
_GUARD = str(Path(__file__).with_name("guard.py"))
_EXIT = re.compile(r"^exit (-?\d+)$", re.MULTILINE)


class GuardedProcess:
    """A running process. It lives in a session of its own, so that a terminal's Ctrl-C does not reach it."""

    def __init__(self, guard: asyncio.subprocess.Process, pid: int, on_line: Callable[[str], None]) -> None:
        """Takes a guard that has reported the process id; `launch` makes one."""
        self.pid = pid
        self.last_lines: deque[str] = deque(maxlen=_QUOTED_LINES)
        self._guard = guard
        self._on_line = on_line
        self._watcher = asyncio.create_task(self._watch())

    @classmethod
    async def launch(cls, spec: ProcessSpec, on_line: Callable[[str], None]) -> Self:
        """Starts a process; `on_line` is called with each line of its output. Raises ProcessStartError."""
        try:
            guard = await _start_guard(spec)
        except OSError as error:
            raise ProcessStartError(f"{spec.name} cannot be started: {error}") from error
        assert guard.stdin is not None
        assert guard.stderr is not None
        try:
            report = (await guard.stderr.readline()).decode(errors="replace").strip()
        except asyncio.CancelledError:
            guard.stdin.close()  # the guard ends the process, should it have begun
            raise
        verb, _, value = report.partition(" ")
        if verb != "pid":
            await guard.communicate()
            raise ProcessStartError(f"{spec.name} cannot be started: {value or 'its guard did not start'}")
        return cls(guard, int(value), on_line)

    async def wait(self) -> int:
        """Returns the exit code, or minus the signal, once nothing of the process group is left."""
        return await asyncio.shield(self._watcher)

    async def stop(self, grace_seconds: float) -> bool:
        """Ends the process: SIGTERM, then SIGKILL after the grace. Returns False if it had to be killed."""
        self.terminate()
        try:
            await asyncio.wait_for(self.wait(), grace_seconds)
        except TimeoutError:
            self.kill()
            await self.wait()
            return False
        return True

    def terminate(self) -> None:
        """Asks the process to end (SIGTERM)."""
        self._order(b"T")

    def kill(self) -> None:
        """Kills the process and its process group (SIGKILL)."""
        self._order(b"K")

    def _order(self, order: bytes) -> None:
        if self._guard.stdin is not None and not self._watcher.done():
            self._guard.stdin.write(order)

    async def _watch(self) -> int:
        assert self._guard.stderr is not None
        assert self._guard.stdin is not None
        async for line in self._lines():
            self.last_lines.append(line)
            self._on_line(line)
        report = (await self._guard.stderr.read()).decode(errors="replace")
        await self._guard.wait()
        self._guard.stdin.close()
        if ended := _EXIT.search(report):
            return int(ended[1])
        # The guard itself was killed: nobody else would end the process now.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return -signal.SIGKILL

    async def _lines(self) -> AsyncIterator[str]:
        assert self._guard.stdout is not None
        pending = b""
        while data := await self._guard.stdout.read(MAX_LINE_BYTES):
            *complete, pending = (pending + data).split(b"\n")
            for line in complete:
                yield line.decode(errors="replace").rstrip("\r")
            if len(pending) > MAX_LINE_BYTES:
                yield pending.decode(errors="replace")
                pending = b""
        if pending:
            yield pending.decode(errors="replace")


async def _start_guard(spec: ProcessSpec) -> asyncio.subprocess.Process:
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    fds = ",".join(str(fd) for fd in spec.pass_fds)
    arguments = (str(spec.orphan_grace_seconds), str(spec.log), fds, *spec.argv)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", _GUARD, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        pass_fds=spec.pass_fds,
        env={**os.environ, **spec.env},
    )
