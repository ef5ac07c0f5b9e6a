"""Runs a job in a child process that can be stopped for certain."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable

import structlog

from mistudio import v1
from mistudio_runtime.jobs import Handler, Stop
from mistudio_runtime.worker.children import ChildProcesses
from mistudio_runtime.worker.job_process import JobProcess, Pipe
from mistudio_runtime.worker.memory import MemoryLimit, memory_failure
from mistudio_runtime.worker.outcome import STOPPED

log = structlog.get_logger(__name__)

TERMINATE_SECONDS = 3.0
_MEMORY_SECONDS = 0.5
_AHEAD = 64
Report = Callable[[v1.AttemptReport], Awaitable[None]]


class IsolatedRun:
    """One job in one child process."""

    def __init__(
        self, children: ChildProcesses, handler: Handler, granted: v1.ClaimAnswer, memory_limit: MemoryLimit | None
    ) -> None:
        """Takes the attempt that was granted, and the memory that it may take."""
        self._children = children
        self._handler = handler
        self._granted = granted
        self._job = granted.job
        self._memory_limit = memory_limit
        self._process: JobProcess | None = None
        self._stop: Stop | None = None
        self._finish = False
        self._escalation: asyncio.Task[None] | None = None
        self._used_too_much = 0
        """Bytes that it had taken when it was ended for them."""
        self._killed = False
        self._end: v1.AttemptEnd | None = None
        self._ends = asyncio.Event()
        """Set when the job has said how it ended, or can say nothing more."""

    async def run(self, report: Report) -> v1.AttemptEnd:
        """Runs the job to its end, whatever that is."""
        try:
            process = await asyncio.to_thread(self._children.start, self._handler, self._granted)
        except OSError as error:
            log.warning("no process can be started", job=self._job.id, exc_info=error)
            return self._failed("PROCESS_NOT_STARTED", "the worker's machine has no room for one more process")
        self._process = process
        if self._killed:
            process.kill()
        else:
            self._tell_all()
        watching = asyncio.create_task(self._watch_memory(process))
        reading = asyncio.create_task(self._read(process.connection, report))
        try:
            try:
                await self._until_ended(process)
            finally:
                code = await self._clear(process)
            await reading  # what it had said before it ended
        finally:
            watching.cancel()
            reading.cancel()
            process.close()
        return self._end or await self._end_without_word(code)

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
        if self._process is not None:
            self._process.tell(stop)

    async def _end_after(self, grace: float) -> None:
        await asyncio.sleep(grace)
        log.warning("job did not stop in time; its process is ended", job=self._job.id)
        if self._process is None:
            self._killed = True  # a machine under load takes its time to start one: it is ended as soon as it is there
            return
        self._process.terminate()
        await asyncio.sleep(TERMINATE_SECONDS)
        self._process.kill()

    async def _until_ended(self, process: JobProcess) -> None:
        """Waits for the process's end, a few seconds at most when the job has said how it ended.

        Its pipe is no sign of life: what the job has started may hold that open, and what hangs at its exit may too.
        """
        ended, over = asyncio.create_task(process.has_ended()), asyncio.create_task(self._ends.wait())
        try:
            await asyncio.wait({ended, over}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({ended}, timeout=TERMINATE_SECONDS)
        finally:
            ended.cancel()
            over.cancel()

    async def _clear(self, process: JobProcess) -> int | None:
        if self._escalation is not None:
            self._escalation.cancel()
        code = await asyncio.to_thread(process.clear)
        await asyncio.to_thread(self._children.ended, self._job.id)
        process.end_of_reading()
        return code

    async def _read(self, connection: Pipe, report: Report) -> None:
        loop = asyncio.get_running_loop()
        messages: asyncio.Queue[v1.AttachRequest | None] = asyncio.Queue()
        room = threading.Semaphore(_AHEAD)  # a child that reports faster than the mesh takes it waits
        threading.Thread(target=_receive, args=(connection, loop, messages, room), daemon=True).start()
        try:
            while (message := await messages.get()) is not None:
                if message.WhichOneof("message") == "end":
                    self._end = message.end
                    self._ends.set()
                else:
                    await report(message.report)
                room.release()
        finally:
            self._ends.set()
            room.release(_AHEAD)  # nobody reads on: let the thread see the end

    async def _watch_memory(self, process: JobProcess) -> None:
        while True:
            used = await asyncio.to_thread(process.measure)
            if self._memory_limit is not None and used > self._memory_limit.bytes:
                self._used_too_much = used
                process.kill()
                return
            await asyncio.sleep(_MEMORY_SECONDS)

    async def _end_without_word(self, code: int | None) -> v1.AttemptEnd:
        if self._stop is not None:
            return self._ended(STOPPED[self._stop])
        if self._used_too_much and self._memory_limit is not None:
            end = self._ended(v1.ATTEMPT_OUTCOME_FAILED)
            asked = self._handler, self._job, self._used_too_much, self._memory_limit
            end.failure.CopyFrom(await asyncio.to_thread(memory_failure, *asked))
            return end
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        return self._failed("PROCESS_DIED", f"the job's process {how} (a crash, or the machine ran out of memory)")

    def _failed(self, reason: str, message: str) -> v1.AttemptEnd:
        end = self._ended(v1.ATTEMPT_OUTCOME_FAILED)
        end.failure.reason, end.failure.message = reason, message
        end.failure.failure_class = v1.FAILURE_CLASS_TRANSIENT
        return end

    def _ended(self, outcome: v1.AttemptOutcome.ValueType) -> v1.AttemptEnd:
        return v1.AttemptEnd(job_id=self._job.id, attempt=self._granted.attempt, outcome=outcome)


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
