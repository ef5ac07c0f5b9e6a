"""A worker: its session, its queues, its running jobs, its own gRPC server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from nats.aio.msg import Msg

from mistudio import v1
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.broker import names
from mistudio_runtime.broker.connection import connect
from mistudio_runtime.host.status import HostSampler
from mistudio_runtime.host.usage import own_usage
from mistudio_runtime.jobs import Service, ServiceContext, Stop
from mistudio_runtime.jobs.failures import PermanentFailure
from mistudio_runtime.process import unless_stopped
from mistudio_runtime.queues import QueueTable
from mistudio_runtime.serving.server import MeshServer
from mistudio_runtime.settings import Settings
from mistudio_runtime.tasks import end_tasks
from mistudio_runtime.version import version
from mistudio_runtime.worker.attempt import Attempt, Run
from mistudio_runtime.worker.children import ChildProcesses
from mistudio_runtime.worker.inline import InlineRun
from mistudio_runtime.worker.isolated import IsolatedRun
from mistudio_runtime.worker.memory import memory_limit
from mistudio_runtime.worker.message import MessageKeeper
from mistudio_runtime.worker.options import WorkerOptions
from mistudio_runtime.worker.puller import Puller
from mistudio_runtime.worker.services import handlers_by_kind
from mistudio_runtime.worker.session import WorkerSession
from mistudio_runtime.worker.slots import Slots

log = structlog.get_logger(__name__)

_GOODBYE_SECONDS = 2.0
_THREADS = 64


class Worker:
    """Runs jobs of its services' queues until it is told to drain."""

    def __init__(
        self, settings: Settings, table: QueueTable, services: Sequence[Service], options: WorkerOptions
    ) -> None:
        """Takes what the worker is; nothing starts before `run`."""
        self._settings = settings
        self._table = table
        self._services = services
        self._options = options
        self._handlers = handlers_by_kind(services)
        self._context = ServiceContext(settings, ArtifactStore.open(settings.artifacts_url))
        self._slots = Slots(options.slots)
        self._start_time = Timestamp()
        self._start_time.GetCurrentTime()
        self._host = HostSampler(settings.home)
        self._usage = own_usage()
        self._attempts: dict[str, Attempt] = {}
        """By job."""
        self._ending: set[Attempt] = set()
        """Those of them that run no more."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper = MessageKeeper(settings.ack_wait_seconds)
        self._stop = asyncio.Event()
        self._children = ChildProcesses([name for service in services for name in service.preload], settings)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="inline")
        self._grpc_services: list[str] = []
        self._address = ""
        self._session = WorkerSession(
            settings.gateway, self._register, self._heartbeat, self._obey, settings.ack_wait_seconds
        )

    async def run(self, nats_url: str, stop: asyncio.Event) -> None:
        """Works until `stop` is set or the gateway says drain; then drains.

        Raises SessionRefusedError if the gateway refuses this worker, StoppedEarlyError if it never found the broker.
        """
        self._stop = stop
        client = await unless_stopped(stop, connect(nats_url, self._options.name))
        server = await self._serve()
        queues = [self._table.queue(name) for name in self._options.slots]
        puller = Puller(client, queues, self._slots, self._start)
        session = asyncio.create_task(self._session.run())
        pulling = asyncio.create_task(puller.run(self._session.attached))
        keeping = asyncio.create_task(self._keeper.run())
        stopped = asyncio.create_task(stop.wait())
        if any(handler.isolation == "process" for handler in self._handlers.values()):
            await asyncio.to_thread(self._children.warm)
        log.info("worker is ready", worker=self._options.name, address=self._address, queues=list(self._options.slots))
        try:
            await asyncio.wait({session, pulling, stopped}, return_when=asyncio.FIRST_COMPLETED)
            await end_tasks(pulling)
            if not session.done():
                await self._drain()
        finally:
            await end_tasks(session, pulling, stopped, keeping)
            await server.stop(_GOODBYE_SECONDS)
            await client.close()
            self._threads.shutdown(wait=False, cancel_futures=True)
        for task in (session, pulling):
            if not task.cancelled():
                task.result()

    async def _serve(self) -> MeshServer:
        server = MeshServer()
        for service in self._services:
            self._grpc_services += service.add_servicers(server.grpc, self._context)
        port = await server.start(self._settings.worker_listen, self._grpc_services)
        self._address = f"{self._settings.reachable_worker_host}:{port}"
        return server

    def _start(self, queue: str, message: Msg) -> None:
        job_id = names.job_of_subject(message.subject)
        if job_id in self._attempts:
            return  # delivered again because the broker heard nothing for a while; who holds the first keeps both
        self._slots.take(queue)
        held = self._keeper.hold(message)
        attempt = Attempt(queue, held, self._session, self._make_run, self._settings.stop_grace_seconds)
        attempt.over = partial(self._free_slot, attempt)
        self._attempts[job_id] = attempt
        task = asyncio.create_task(self._process(attempt))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _process(self, attempt: Attempt) -> None:
        try:
            await self._run_attempt(attempt)
        finally:
            await attempt.settle()

    async def _run_attempt(self, attempt: Attempt) -> None:
        try:
            job = await attempt.process()
            if job is not None and (scratch := self._settings.scratch / job.id).exists():
                await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        except Exception:  # the boundary of one job: the worker lives on, and the message comes again
            log.exception("attempt broke", job=attempt.job_id)
        finally:
            del self._attempts[attempt.job_id]
            if attempt in self._ending:
                self._ending.discard(attempt)
                self._slots.settle(attempt.queue)
            else:
                self._slots.give_back(attempt.queue)

    def _free_slot(self, attempt: Attempt) -> None:
        self._ending.add(attempt)
        self._slots.end(attempt.queue)

    def _make_run(self, granted: v1.ClaimAnswer) -> Run:
        job = granted.job
        handler = self._handlers.get(job.kind)
        if handler is None:
            sentence = (
                f"no worker of this version runs {job.kind}: upgrade the {', '.join(self._options.services)} service"
            )
            raise PermanentFailure(sentence, reason="NO_HANDLER")
        if handler.isolation == "inline":
            return InlineRun(handler, granted, self._context, self._threads)
        limit = memory_limit(self._options.memory_limit_bytes, self._table.queue(job.queue))
        return IsolatedRun(self._children, handler, granted, limit)

    async def _drain(self) -> None:
        log.info("worker drains", running=len(self._attempts))
        for attempt in list(self._attempts.values()):
            attempt.stop(Stop.DRAIN)
        # The goodbye and the server's end come after it.
        limit = self._settings.worker_stop_seconds - 2 * _GOODBYE_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await asyncio.gather(*self._tasks)
        await self._session.say_goodbye(_GOODBYE_SECONDS)

    def _obey(self, response: v1.AttachResponse) -> None:
        which = response.WhichOneof("message")
        if which == "command":
            attempt = self._attempts.get(response.command.job_id)
            if attempt is not None and attempt.number == response.command.attempt:
                attempt.command(response.command.command)
        elif which == "drain":
            self._stop.set()
            self._session.beat()
        elif which == "resize":
            self._slots.resize(response.resize.queue, response.resize.slots)
            self._session.beat()

    def _register(self) -> v1.Register:
        worker = v1.Worker(
            name=self._options.name,
            services=[service.name for service in self._services],
            queues=self._served(),
            job_kinds=sorted(self._handlers),
            address=self._address,
            grpc_services=self._grpc_services,
            host=self._settings.host,
            pid=os.getpid(),
            version=version(),
            device=self._settings.device,
            start_time=self._start_time,
        )
        return v1.Register(worker=worker, running=self._running(), token=self._settings.token.get_secret_value())

    def _heartbeat(self) -> v1.Heartbeat:
        usage = self._usage.latest()
        return v1.Heartbeat(
            running=self._running(),
            rss_bytes=usage.rss_bytes,
            gpu_memory_bytes=usage.gpu_memory_bytes,
            draining=self._stop.is_set(),
            queues=self._served(),
            host_status=self._host.status(),
        )

    def _running(self) -> list[v1.RunningAttempt]:
        return [
            attempt.running(self._children.resident_bytes(attempt.job_id))
            for attempt in self._attempts.values()
            if attempt.number
        ]

    def _served(self) -> list[v1.ServedQueue]:
        return [v1.ServedQueue(queue=queue, slots=slots) for queue, slots in self._slots.limits.items()]
