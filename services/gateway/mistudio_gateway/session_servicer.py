"""WorkerSessionService: one stream a worker."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import grpc
import grpc.aio
import structlog

from mistudio import v1
from mistudio_gateway.attempts import Attempts
from mistudio_gateway.ordered_tasks import OrderedTasks
from mistudio_gateway.sessions import Session, Sessions
from mistudio_gateway.stalls import Stalls
from mistudio_gateway.timestamps import set_to_now
from mistudio_gateway.told_values import mend_end, mend_heartbeat, mend_report, mend_worker
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.broker.names import WORKER_NAME
from mistudio_runtime.errors import (
    FailedPreconditionError,
    InvalidRequestError,
    UnauthenticatedError,
    UnavailableError,
    Violation,
)
from mistudio_runtime.settings import Settings
from mistudio_runtime.tasks import end_tasks

log = structlog.get_logger(__name__)

HEARTBEATS_PER_LEASE = 4
MAX_UNDER_WAY = 256
Requests = AsyncIterator[v1.AttachRequest]


class WorkerSessionServicer(v1.WorkerSessionServiceServicer):
    """Converts the stream's messages to calls of `Attempts` and `WorkerRegistry`, and their results to answers."""

    def __init__(
        self, settings: Settings, sessions: Sessions, attempts: Attempts, registry: WorkerRegistry, stalls: Stalls
    ) -> None:
        """Takes what the messages are converted to calls of, and who notices that this gateway stood still."""
        self._stalls = stalls
        self._settings = settings
        self._sessions = sessions
        self._attempts = attempts
        self._registry = registry

    async def Attach(
        self, request_iterator: Requests, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[v1.AttachResponse]:
        """Serves one worker until it goes away."""
        status = await self._register(request_iterator)
        session = self._sessions.open(status)
        log.info("worker attached", worker=session.worker)
        session.send(self._registered())
        reader = asyncio.create_task(self._read(request_iterator, session, status))
        reader.add_done_callback(lambda _: session.end())
        try:
            async for message in session.messages():
                yield message
            reader.result()
        finally:
            await end_tasks(reader)
            self._sessions.close(session)
            log.info("worker detached", worker=session.worker)

    async def _register(self, requests: Requests) -> v1.WorkerStatus:
        first = await anext(aiter(requests), v1.AttachRequest())
        if first.WhichOneof("message") != "register":
            raise FailedPreconditionError("the first message of a session is Register")
        expected = self._settings.token.get_secret_value().encode()
        if not hmac.compare_digest(expected, first.register.token.encode()):
            raise UnauthenticatedError("the worker's MISTUDIO_TOKEN is not the gateway's")
        self._check_name(first.register.worker)
        mend_worker(first.register.worker)
        status = v1.WorkerStatus(worker=first.register.worker, running=first.register.running)
        await self._registry.put(status)
        return status

    def _check_name(self, worker: v1.Worker) -> None:
        if not WORKER_NAME.fullmatch(worker.name):
            raise InvalidRequestError([Violation("register.worker.name", "is letters, digits, '-', '_' and one '@'")])
        holder = self._registry.find(worker.name)
        if holder is not None and _process(holder.worker) != _process(worker):
            # It tries again, and gets in when the record of a predecessor that was killed has expired.
            raise UnavailableError(
                f"another worker {worker.name!r} is attached (process {holder.worker.pid} on {holder.worker.host}): "
                "give this one another --name"
            )

    def _registered(self) -> v1.AttachResponse:
        answer = v1.Registered(gateway=self._settings.host)
        answer.heartbeat_interval.FromTimedelta(
            timedelta(seconds=self._settings.ack_wait_seconds / HEARTBEATS_PER_LEASE)
        )
        return v1.AttachResponse(registered=answer)

    async def _read(self, requests: Requests, session: Session, status: v1.WorkerStatus) -> None:
        tasks, opened = OrderedTasks(MAX_UNDER_WAY), time.monotonic()
        try:
            async for message in requests:
                if self._stalls.since(opened):
                    return  # the worker has another gateway by now: what it once said here is no longer true
                for request in message.batch.requests if message.HasField("batch") else [message]:
                    _hear(request, session)
                    # One job's messages keep their order; those of other jobs do not wait for its writes to be synced.
                    await tasks.add(_key(request), partial(self._handle, request, session, status))
        finally:
            await tasks.stop()

    async def _handle(self, request: v1.AttachRequest, session: Session, status: v1.WorkerStatus) -> None:
        try:
            await self._answer(request, session, status)
        except UnavailableError:
            # No answer is sent: the worker repeats what matters when it has waited long enough.
            log.warning("broker does not answer; the worker will repeat", worker=session.worker)
        except Exception:  # the boundary of one message: the session goes on
            log.exception("message of a worker cannot be handled", worker=session.worker)
            if request.HasField("report"):  # repeated, it would fail again, and the attempt's end waits for it
                session.send(v1.AttachResponse(in_reply_to=request.id, report_stored=v1.ReportStored(current=True)))

    async def _answer(self, request: v1.AttachRequest, session: Session, status: v1.WorkerStatus) -> None:
        which = request.WhichOneof("message")
        if which == "heartbeat":
            await self._heartbeat(request.heartbeat, session, status)
        elif which == "claim":
            answer = await self._attempts.claim(session.worker, request.claim)
            session.send(v1.AttachResponse(in_reply_to=request.id, claim_answer=answer))
        elif which == "report":
            mend_report(request.report)
            current = await self._attempts.report(session.worker, request.id, request.report)
            if not request.report.HasField("progress"):  # nobody waits for that to be stored
                session.send(v1.AttachResponse(in_reply_to=request.id, report_stored=v1.ReportStored(current=current)))
        elif which == "end":
            mend_end(request.end)
            ended = await self._attempts.end(request.end)
            session.send(v1.AttachResponse(in_reply_to=request.id, ended=ended))
        elif which == "goodbye":
            await self._registry.remove(session.worker)

    async def _heartbeat(self, beat: v1.Heartbeat, session: Session, status: v1.WorkerStatus) -> None:
        del status.running[:]
        status.running.extend(beat.running)
        status.rss_bytes, status.draining = beat.rss_bytes, beat.draining
        status.gpu_memory_bytes = beat.gpu_memory_bytes
        status.host_status.CopyFrom(beat.host_status)
        if beat.queues:
            del status.worker.queues[:]
            status.worker.queues.extend(beat.queues)
        await self._registry.put(status)
        for running in beat.running:
            if command := self._attempts.orders(running):
                session.send(v1.AttachResponse(command=command))


def _hear(request: v1.AttachRequest, session: Session) -> None:
    """Notes, before the message waits for anything, when it came and how far the worker's clock is ahead."""
    set_to_now(session.status.last_seen_time)
    if request.WhichOneof("message") != "heartbeat":
        return
    mend_heartbeat(request.heartbeat)
    if request.heartbeat.HasField("host_status"):
        host = request.heartbeat.host_status
        offset = host.time.ToDatetime(UTC) - datetime.now(UTC)
        host.clock_offset.FromTimedelta(session.clock.observe(offset))


def _process(worker: v1.Worker) -> tuple[str, int, str]:
    return worker.host, worker.pid, worker.address


def _key(request: v1.AttachRequest) -> str:
    """Returns what the message has to wait for: earlier ones on its job, or, "", on the worker itself.

    Metrics and lines wait for none: they are stored in the order in which they are begun, and an end comes after their
    answers. Progress waits for progress, so that it never falls.
    """
    if request.HasField("report"):
        progress = request.report.HasField("progress")
        return f"progress {request.report.job_id}" if progress else f"report {request.id}"
    message = getattr(request, request.WhichOneof("message") or "heartbeat")
    return str(getattr(message, "job_id", ""))
