"""A worker's stream to any gateway: it reconnects by itself and repeats what was not answered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import structlog

from mistudio import v1
from mistudio.gateways import Gateways
from mistudio_runtime.worker.channel_options import channel_options
from mistudio_runtime.worker.paced_warning import PacedWarning

log = structlog.get_logger(__name__)

_FIRST_RETRY_SECONDS = 0.2
_LAST_RETRY_SECONDS = 2.0
_REPEAT_SECONDS = 5.0
_MAX_UNANSWERED = 5_000
_LINGER_SECONDS = 0.002
"""Where there is much to say, what comes within so long goes together."""
_MAX_BATCH = 256
_MAX_BATCH_BYTES = 2**20
"""gRPC takes messages of 4 MiB."""
_REGISTER_SECONDS = 10.0


class SessionRefusedError(Exception):
    """The gateway does not take this worker; the message says why."""


@dataclass(frozen=True)
class _Waiting:
    """A request without an answer."""

    request: v1.AttachRequest
    answer: asyncio.Future[v1.AttachResponse]
    asked: float
    """time.monotonic() of the first time."""


class WorkerSession:
    """Requests live until they are answered, over as many connections as that takes."""

    def __init__(
        self,
        gateway: str,
        register: Callable[[], v1.Register],
        heartbeat: Callable[[], v1.Heartbeat],
        on_command: Callable[[v1.AttachResponse], None],
        ack_wait: float,
    ) -> None:
        """Takes "host:port" or several, what to say at connections and heartbeats, who obeys commands, and ack_wait."""
        self.attached = asyncio.Event()
        """Set while a gateway has registered this worker."""
        self._gateways = Gateways(gateway)
        self._options = channel_options(ack_wait)
        self._register = register
        self._heartbeat = heartbeat
        self._on_command = on_command
        self._ids = itertools.count(time.time_ns())  # never the ids of a process before, of the same name
        self._unanswered: dict[int, _Waiting] = {}
        self._reports: dict[str, set[asyncio.Future[v1.AttachResponse]]] = {}
        """Job to its reports without an answer."""
        self._room = asyncio.Semaphore(_MAX_UNANSWERED)
        self._outbox: asyncio.Queue[v1.AttachRequest] = asyncio.Queue()
        self._unattached = PacedWarning("not attached; trying again")

    async def claim(self, claim: v1.Claim) -> v1.ClaimAnswer:
        """Asks to run a job; waits as long as it takes."""
        return (await self._ask(v1.AttachRequest(claim=claim))).claim_answer

    async def end(self, end: v1.AttemptEnd) -> v1.AttemptEnded:
        """Tells how an attempt ended; waits until a gateway has stored it, and what was reported before it.

        A report that comes again after the end would be one of an attempt that is over.
        """
        if reports := self._reports.get(end.job_id):
            await asyncio.wait(set(reports))
        return (await self._ask(v1.AttachRequest(end=end))).ended

    async def report(self, report: v1.AttemptReport) -> None:
        """Tells what an attempt says. Progress is dropped while nobody listens; all else is kept until stored.

        Waits if very much is unanswered, and so slows down a job that reports faster than the mesh stores.
        """
        request = v1.AttachRequest(report=report)
        if report.WhichOneof("report") == "progress":
            if self.attached.is_set():
                request.id = next(self._ids)
                self._outbox.put_nowait(request)
            return
        await self._room.acquire()
        answer = self._send_until_answered(request)
        self._reports.setdefault(report.job_id, set()).add(answer)
        answer.add_done_callback(lambda _: self._forget_report(report.job_id, answer))

    def _forget_report(self, job_id: str, answer: asyncio.Future[v1.AttachResponse]) -> None:
        self._room.release()
        self._reports[job_id].discard(answer)
        if not self._reports[job_id]:
            del self._reports[job_id]

    async def run(self) -> None:
        """Keeps the worker attached until cancelled. Raises SessionRefusedError if a gateway refuses it."""
        retry = _FIRST_RETRY_SECONDS
        while True:
            gateway = self._gateways.current
            try:
                async with grpc.aio.insecure_channel(gateway, options=self._options) as channel:
                    await self._serve(v1.WorkerSessionServiceStub(channel).Attach(), gateway)
            except TimeoutError:
                self._unattached.say(gateway=gateway, code="no answer to the registration")
            except grpc.aio.AioRpcError as error:
                _raise_if_refused(error)
                was_attached = self.attached.is_set()
                retry = _FIRST_RETRY_SECONDS if was_attached else min(_LAST_RETRY_SECONDS, 2 * retry)
                self._unattached.say(gateway=gateway, code=error.code().name, says=error.details())
            finally:
                self.attached.clear()
                self._gateways.leave(gateway)
            await asyncio.sleep(retry * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret

    def beat(self) -> None:
        """Tells at once how the worker is, in place of at the next heartbeat."""
        if self.attached.is_set():
            self._outbox.put_nowait(v1.AttachRequest(heartbeat=self._heartbeat()))

    async def say_goodbye(self, timeout: float) -> None:  # noqa: ASYNC109 - the last chance, not a limit of a task
        """Tells that the worker ends, if somebody listens."""
        if self.attached.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    self._outbox.put_nowait(v1.AttachRequest(goodbye=v1.Goodbye()))
                    await self._outbox.join()

    async def _ask(self, request: v1.AttachRequest) -> v1.AttachResponse:
        return await self._send_until_answered(request)

    def _send_until_answered(self, request: v1.AttachRequest) -> asyncio.Future[v1.AttachResponse]:
        request.id = next(self._ids)
        answer: asyncio.Future[v1.AttachResponse] = asyncio.get_running_loop().create_future()
        self._unanswered[request.id] = _Waiting(request, answer, time.monotonic())
        if self.attached.is_set():
            self._outbox.put_nowait(request)
        return answer

    async def _serve(self, call: Any, gateway: str) -> None:
        self._outbox = asyncio.Queue()  # what is not answered is sent again below
        with contextlib.suppress(asyncio.InvalidStateError):  # it has ended already; the read tells with what status
            await call.write(v1.AttachRequest(register=self._register()))
        async with asyncio.timeout(_REGISTER_SECONDS):
            first = await call.read()
        if first == grpc.aio.EOF:
            return
        log.info("attached", gateway=gateway)
        self.attached.set()
        self._unattached.over()
        self._repeat_unanswered()
        interval = first.registered.heartbeat_interval.ToTimedelta().total_seconds()
        helpers = [asyncio.create_task(work) for work in (self._write(call), self._beat(interval), self._repeat())]
        try:
            await self._read(call)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _write(self, call: Any) -> None:
        while True:
            requests = [await self._outbox.get()]
            size = requests[0].ByteSize()
            while len(requests) < _MAX_BATCH and size < _MAX_BATCH_BYTES and not self._outbox.empty():
                requests.append(self._outbox.get_nowait())
                size += requests[-1].ByteSize()
            try:
                await call.write(_together(requests))
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return  # the reader sees the end of the stream, with its status
            finally:
                for _ in requests:
                    self._outbox.task_done()
            if len(requests) > 1:
                await asyncio.sleep(_LINGER_SECONDS)

    async def _beat(self, interval: float) -> None:
        while True:
            self._outbox.put_nowait(v1.AttachRequest(heartbeat=self._heartbeat()))
            await asyncio.sleep(interval)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(_REPEAT_SECONDS)
            self._repeat_unanswered(older_than=_REPEAT_SECONDS)

    def _repeat_unanswered(self, older_than: float = 0.0) -> None:
        latest = time.monotonic() - older_than
        for waiting in self._unanswered.values():
            if waiting.asked <= latest:
                self._outbox.put_nowait(waiting.request)

    async def _read(self, call: Any) -> None:
        while (message := await call.read()) != grpc.aio.EOF:
            for response in message.batch.responses if message.HasField("batch") else [message]:
                if response.in_reply_to:
                    self._take_answer(response)
                else:
                    self._on_command(response)

    def _take_answer(self, response: v1.AttachResponse) -> None:
        waiting = self._unanswered.pop(response.in_reply_to, None)
        if waiting is not None and not waiting.answer.done():
            waiting.answer.set_result(response)


def _together(requests: list[v1.AttachRequest]) -> v1.AttachRequest:
    if len(requests) == 1:
        return requests[0]
    return v1.AttachRequest(batch=v1.AttachRequestBatch(requests=requests))


def _raise_if_refused(error: grpc.aio.AioRpcError) -> None:
    if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT):
        raise SessionRefusedError(error.details()) from error
