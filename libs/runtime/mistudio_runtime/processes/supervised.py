"""A process that is started again when it dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mistudio_runtime.processes.guard import rotate
from mistudio_runtime.processes.guarded import GuardedProcess
from mistudio_runtime.processes.spec import Backoff, ProcessListener, ProcessSpec, ProcessStartError, describe_exit


class SupervisedProcess:
    """Keeps one process running from `start` to `stop`."""

    def __init__(
        self,
        spec: ProcessSpec,
        *,
        ready: Callable[[], Awaitable[None]] | None = None,
        backoff: Backoff | None = None,
        listener: ProcessListener | None = None,
    ) -> None:
        """Takes what to run and `ready`, which returns once the first start has succeeded (default: at once)."""
        self.spec = spec
        self._ready = ready
        self._backoff = backoff or Backoff()
        self._listener = listener or ProcessListener()
        self._stopping = asyncio.Event()
        self._process: GuardedProcess | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Id of the present process; after a crash that of the last one; None before the first."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Starts the process and returns when it is ready. Raises ProcessStartError if it ends before."""
        rotate(str(self.spec.log))
        process = await self._launch()
        if self._ready is not None:
            await self._until_ready(process, self._ready)
        self._keeper = asyncio.create_task(self._keep(process))

    async def stop(self, grace_seconds: float) -> None:
        """Ends the process: SIGTERM, then SIGKILL after the grace. Safe at any moment, even during `start`."""
        self._stopping.set()
        if self._process is None:
            return
        ended: asyncio.Future[Any] = self._keeper or asyncio.ensure_future(self._process.wait())
        self._process.terminate()
        if not (await asyncio.wait([ended], timeout=grace_seconds))[0]:
            self._say(f"did not end within {grace_seconds:g} s and is killed")
            self._process.kill()
        await ended

    def kill(self) -> None:
        """Kills the process at once; `stop` then returns as soon as it is gone."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """Asks the process to end (SIGTERM); it is then started again as after a crash."""
        if self._process is not None:
            self._process.terminate()

    async def _launch(self) -> GuardedProcess:
        name = self.spec.name
        self._process = await GuardedProcess.launch(self.spec, lambda line: self._listener.line(name, line))
        self._listener.started(name, self._process.pid)
        return self._process

    async def _until_ready(self, process: GuardedProcess, ready: Callable[[], Awaitable[None]]) -> None:
        becoming_ready = asyncio.ensure_future(ready())
        ending = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait([becoming_ready, ending], return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                quoted = "\n".join(f"  {line}" for line in process.last_lines)
                what = f"{self.spec.name} {describe_exit(ending.result())} before it was ready"
                raise ProcessStartError(f"{what} (log: {self.spec.log}):\n{quoted}")
            await becoming_ready
        finally:
            becoming_ready.cancel()
            ending.cancel()
            await asyncio.wait([becoming_ready, ending])

    async def _keep(self, process: GuardedProcess) -> None:
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            began = clock()
            how = describe_exit(await process.wait())
            failures = 1 if clock() - began > self._backoff.healthy_after_seconds else failures + 1
            while (again := await self._start_again(how, failures)) is None:
                if self._stopping.is_set():
                    return
                how, failures = "cannot be started", failures + 1
            process = again

    async def _start_again(self, how: str, failures: int) -> GuardedProcess | None:
        if self._stopping.is_set():
            return None
        delay = self._backoff.delay(failures)
        self._say(f"{how}; it is started again in {delay:g} s (log: {self.spec.log})")
        await asyncio.wait([waiting := asyncio.ensure_future(self._stopping.wait())], timeout=delay)
        waiting.cancel()
        if self._stopping.is_set():
            return None
        try:
            process = await self._launch()
        except ProcessStartError as error:
            self._say(str(error))
            return None
        if self._stopping.is_set():
            process.terminate()
        return process

    def _say(self, text: str) -> None:
        self._listener.event(self.spec.name, text)
