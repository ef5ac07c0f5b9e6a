"""A mesh for one measurement: broker with synced writes, gateway and workers as processes, in a home of its own."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc.aio
import nats
import psutil
from nats.aio.client import Client

from bench.jobs.handlers import STAMPS
from bench.jobs.profiler import Profiler
from bench.jobs.setting import Setting
from bench.jobs.stamps import Stamps
from bench.jobs.waiting import free_port, until
from bench.program import PYTHONPATH
from mistudio import v1
from mistudio_runtime.broker import names
from mistudio_runtime.broker.embedded import EmbeddedBroker
from mistudio_runtime.processes.guarded import GuardedProcess
from mistudio_runtime.processes.spec import ProcessSpec

QUEUE = "low_priority"
"""The queue of all job kinds that the bench uses."""
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_PAGE = 1_000
_CHANNEL_OPTIONS = [
    (f"grpc.{name}_reconnect_backoff_ms", 50) for name in ("initial", "min", "max")
]  # or a start would take whole seconds more
_numbers = itertools.count(1)


class BenchMesh:
    """What a measurement asks of its mesh."""

    def __init__(self, setting: Setting, home: Path, broker: EmbeddedBroker, client: Client) -> None:
        """Takes the parts that run already; `running_mesh` makes one."""
        self.home = home
        self.stamps = Stamps(home / "stamps")
        self.address = f"127.0.0.1:{free_port()}"
        self.broker = broker
        self.client = client
        self.gateway: GuardedProcess | None = None
        self.workers: dict[str, GuardedProcess] = {}
        self.channel = grpc.aio.insecure_channel(self.address, options=_CHANNEL_OPTIONS)
        self.jobs = v1.JobServiceStub(self.channel)
        self.profiler = Profiler(home / "profiles") if setting.profile else None
        self._setting = setting

    def pids(self) -> dict[str, list[int]]:
        """Returns the process ids of each of its parts."""
        assert self.gateway is not None
        assert self.broker.pid is not None
        workers = [worker.pid for worker in self.workers.values()]
        return {"gateway": [self.gateway.pid], "worker": workers, "nats-server": [self.broker.pid]}

    async def start_gateway(self) -> float:
        """Starts a gateway; returns the seconds until it answered a call."""
        begin = time.monotonic()
        self.gateway = await self._launch("gateway", "mistudio_gateway")
        await until(self._answers, _START_SECONDS, f"the gateway answers (log: {self.home / 'logs'})")
        return time.monotonic() - begin

    async def stop_gateway(self) -> None:
        """Ends the gateway in order."""
        assert self.gateway is not None
        await self._end(self.gateway)
        self.gateway = None

    async def start_worker(self, slots: int, *arguments: str) -> GuardedProcess:
        """Starts a worker of the bench's jobs and waits until it is attached."""
        name = f"bench@{next(_numbers)}"
        options = ("--name", name, "--queues", QUEUE, "--slots", str(slots))
        worker = await self._launch(f"worker-{name}", "bench.jobs.worker", *options, *arguments)
        self.workers[name] = worker
        await until(lambda: self.attached(name), _START_SECONDS, f"{name} is attached (log: {self.home / 'logs'})")
        return worker

    async def attached(self, name: str) -> bool:
        """Tells whether a worker of this name is attached."""
        answer = await v1.WorkerServiceStub(self.channel).ListWorkers(v1.ListWorkersRequest(), timeout=10)
        return any(status.worker.name == name for status in answer.workers)

    async def submit(self, spec: v1.JobSpec, priority: int = 0) -> str:
        """Submits a job and returns its id."""
        request = v1.SubmitJobRequest(job=v1.JobRequest(spec=spec, priority=priority))
        return (await self.jobs.SubmitJob(request, timeout=60)).job.id

    async def messages(self) -> int:
        """Returns how many jobs have a message: it goes only after the job's end is in the ledger."""
        info = await self.client.jetstream().stream_info(names.JOBS_STREAM)
        return info.state.messages

    async def until_done(self, seconds: float) -> None:
        """Waits until no job has a message any more."""

        async def done() -> bool:
            return await self.messages() == 0

        await until(done, seconds, "all jobs have ended")

    async def count(self, state: v1.JobState.ValueType) -> int:
        """Returns how many jobs of the ledger are in a state; costs the gateway much."""
        token, found = "", 0
        while True:
            request = v1.ListJobsRequest(states=[state], page_size=_PAGE, page_token=token)
            answer = await self.jobs.ListJobs(request, timeout=120)
            found += len(answer.jobs)
            token = answer.next_page_token
            if answer.total_size or not token:
                return answer.total_size or found

    async def stop(self) -> None:
        """Ends workers, gateway and connections."""
        for worker in self.workers.values():
            await self._end(worker)
        if self.gateway is not None:
            await self.stop_gateway()
        await self.channel.close()
        await self.client.close()
        if self.profiler is not None:
            self.profiler.print()

    async def _end(self, process: GuardedProcess) -> None:
        if self.profiler is not None:
            with suppress(psutil.NoSuchProcess):
                self.profiler.end(process.pid)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        await process.stop(_STOP_SECONDS)

    async def _answers(self) -> bool:
        if self.gateway is not None and self.gateway.last_lines and not _alive(self.gateway.pid):
            raise RuntimeError("the gateway ended:\n" + "\n".join(self.gateway.last_lines))
        try:
            await v1.QueueServiceStub(self.channel).ListQueues(v1.ListQueuesRequest(), timeout=10)
        except grpc.aio.AioRpcError:
            return False
        return True

    async def _launch(self, name: str, module: str, *arguments: str) -> GuardedProcess:
        profiled = self.profiler.around(name) if self.profiler else (sys.executable,)
        spec = ProcessSpec(
            name=name,
            argv=(*profiled, "-m", module, *arguments),
            log=self.home / "logs" / f"{name}.log",
            env={
                "MISTUDIO_HOME": str(self.home),
                "MISTUDIO_CONFIG": str(self.home / "config.toml"),
                "MISTUDIO_LISTEN": self.address,
                "MISTUDIO_GATEWAY": self.address,
                "MISTUDIO_ACK_WAIT_SECONDS": str(self._setting.ack_wait_seconds),
                "MISTUDIO_LOG_LEVEL": "warning",
                "MISTUDIO_LOG_FORMAT": "json",
                "PYTHONPATH": PYTHONPATH,
                STAMPS: str(self.stamps.file),
            },
        )
        return await GuardedProcess.launch(spec, lambda _: None)


@asynccontextmanager
async def running_mesh(setting: Setting) -> AsyncIterator[BenchMesh]:
    """Runs a broker with a gateway in a home that is removed at the end; workers are the measurement's to start."""
    home = setting.home / f"mesh-{next(_numbers)}"
    home.mkdir()
    try:
        async with EmbeddedBroker(home) as broker:
            mesh = BenchMesh(setting, home, broker, await nats.connect(broker.url))
            try:
                await mesh.start_gateway()
                yield mesh
            finally:
                await mesh.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
