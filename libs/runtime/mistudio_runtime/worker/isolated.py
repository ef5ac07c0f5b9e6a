"""Runs a job in a child process that can be stopped for certain."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import threading
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import TYPE_CHECKING

import structlog

from mistudio import v1
from mistudio_runtime.jobs import Handler, Stop
from mistudio_runtime.settings import Settings
from mistudio_runtime.worker import child
from mistudio_runtime.worker.memory import resident_bytes
from mistudio_runtime.worker.outcome import STOPPED

log = structlog.get_logger(__name__)

TERMINATE_SECONDS = 3.0
_MEMORY_SECONDS = 0.5
Report = Callable[[v1.AttemptReport], Awaitable[None]]
if TYPE_CHECKING:
    Pipe = Connection[bytes, bytes]
else:  # generic only in the stubs
    Pipe = Connection


class ChildProcesses:
    """Starts children from a forkserver that has imported what they need, and never a GPU library's state."""

    def __init__(self, preload: Sequence[str], settings: Settings) -> None:
        """Takes the modules that every child needs."""
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*preload, child.__name__])
        self._settings = settings

    def start(self, handler: Handler, job: v1.Job, attempt: int) -> tuple[ForkServerProcess, Pipe]:
        """Starts a job's process; returns it with this side of the pipe."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=child.main,
            args=(theirs, handler, job.SerializeToString(), attempt, self._settings),
            name=f"{job.kind} {job.id}",
        )
        process.start()
        theirs.close()
        return process, ours


class IsolatedRun:
    """One job in one child process."""

    def __init__(
        self, children: ChildProcesses, handler: Handler, job: v1.Job, attempt: int, memory_limit: int | None
    ) -> None:
        """Takes the job, and the resident memory that it may take, in bytes."""
        self._children = children
        self._handler = handler
        self._job = job
        self._attempt = attempt
        self._memory_limit = memory_limit
        self._process: ForkServerProcess | None = None
        self._connection: Pipe | None = None
        self._stop: Stop | None = None
        self._finish = False
        self._escalation: asyncio.Task[None] | None = None
        self._failure: v1.Failure | None = None
        self._killed = False

    async def run(self, report: Report) -> v1.AttemptEnd:
        """Runs the job to its end, whatever that is."""
        process, connection = await asyncio.to_thread(self._children.start, self._handler, self._job, self._attempt)
        self._process, self._connection = process, connection
        if self._killed:
            process.kill()
        else:
            self._tell_all()
        watching = asyncio.create_task(self._watch_memory(process))
        try:
            end = await self._read(connection, report)
            await asyncio.to_thread(process.join, TERMINATE_SECONDS)
        finally:
            watching.cancel()
            if self._escalation is not None:
                self._escalation.cancel()
            process.kill()
            await asyncio.to_thread(process.join)
            connection.close()
        return end or self._end_without_word(process.exitcode)

    def stop(self, stop: Stop, grace: float) -> None:
        """Asks the job to stop; after `grace` seconds its process is ended. Finishing may take as long as it takes."""
        if stop is Stop.FINISH:
            self._finish = True
            self._tell(stop)
            return
        if self._stop is stop:
            return
        self._stop = stop
        self._tell(stop)
        if self._escalation is None:
            self._escalation = asyncio.create_task(self._end_after(grace))

    def kill(self) -> None:
        """Ends the process at once."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def _tell_all(self) -> None:
        """Tells the process what was asked before it began."""
        if self._finish:
            self._tell(Stop.FINISH)
        if self._stop is not None:
            self._tell(self._stop)

    def _tell(self, stop: Stop) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.send_bytes(stop.value.encode())

    async def _end_after(self, grace: float) -> None:
        await asyncio.sleep(grace)
        log.warning("job did not stop in time; its process is ended", job=self._job.id)
        if self._process is not None:
            self._process.terminate()
            await asyncio.sleep(TERMINATE_SECONDS)
            self._process.kill()

    async def _read(self, connection: Pipe, report: Report) -> v1.AttemptEnd | None:
        loop = asyncio.get_running_loop()
        messages: asyncio.Queue[v1.AttachRequest | None] = asyncio.Queue()
        room = threading.Semaphore(64)  # a child that reports faster than the mesh takes it waits
        threading.Thread(target=_receive, args=(connection, loop, messages, room), daemon=True).start()
        end: v1.AttemptEnd | None = None
        while (message := await messages.get()) is not None:
            if message.WhichOneof("message") == "end":
                end = message.end
            else:
                await report(message.report)
            room.release()
        return end

    async def _watch_memory(self, process: ForkServerProcess) -> None:
        while self._memory_limit is not None:
            used = await asyncio.to_thread(resident_bytes, process.pid or 0)
            if used > self._memory_limit:
                self._failure = v1.Failure(
                    reason="MEMORY_LIMIT",
                    message=(
                        f"the job took {used / 1e9:.1f} GB of memory and its queue allows "
                        f"{self._memory_limit / 1e9:.1f} GB: ask for less at a time, or raise --memory-limit"
                    ),
                    failure_class=v1.FAILURE_CLASS_PERMANENT,
                )
                process.kill()
                return
            await asyncio.sleep(_MEMORY_SECONDS)

    def _end_without_word(self, code: int | None) -> v1.AttemptEnd:
        end = v1.AttemptEnd(job_id=self._job.id, attempt=self._attempt)
        if self._stop is not None:
            end.outcome = STOPPED[self._stop]
            return end
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        died = v1.Failure(
            reason="PROCESS_DIED",
            message=f"the job's process {how} (a crash, or the machine ran out of memory)",
            failure_class=v1.FAILURE_CLASS_TRANSIENT,
        )
        end.outcome = v1.ATTEMPT_OUTCOME_FAILED
        end.failure.CopyFrom(self._failure or died)
        return end


def _receive(
    connection: Pipe,
    loop: asyncio.AbstractEventLoop,
    messages: asyncio.Queue[v1.AttachRequest | None],
    room: threading.Semaphore,
) -> None:
    try:
        while True:
            message = v1.AttachRequest.FromString(connection.recv_bytes())
            room.acquire()
            loop.call_soon_threadsafe(messages.put_nowait, message)
    except (EOFError, OSError):
        with contextlib.suppress(RuntimeError):  # the loop has ended before its child
            loop.call_soon_threadsafe(messages.put_nowait, None)
