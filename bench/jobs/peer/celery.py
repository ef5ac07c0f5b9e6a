"""Celery workers on a Redis of their own, for one measurement."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.jobs.peer.environment import peer_python, redis_server
from bench.jobs.setting import Setting
from bench.jobs.stamps import Stamps
from bench.jobs.waiting import free_port
from bench.program import PYTHONPATH, Program
from mistudio_runtime.processes.guarded import GuardedProcess
from mistudio_runtime.processes.spec import ProcessSpec

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Pool:
    """How a Celery worker is run."""

    name: str
    options: tuple[str, ...] = ("--pool", "prefork", "--concurrency", "2")
    prefetch: int = 4
    """worker_prefetch_multiplier; 4 is Celery's default."""
    queues: str = "celery"
    transport: Mapping[str, Any] = field(default_factory=dict)
    """broker_transport_options."""


PREFORK = Pool("prefork")
THREADS = Pool("threads", ("--pool", "threads", "--concurrency", "2"))


class Celery:
    """One pool with its Redis databases and one client."""

    def __init__(self, pool: Pool, home: Path, redis: GuardedProcess, port: int) -> None:
        """Takes a Redis server of its own."""
        self.pool = pool
        self.stamps = Stamps(home / "stamps")
        self.redis = redis
        self.workers: list[GuardedProcess] = []
        self.clients: list[Program] = []
        self._home = home
        self._port = port
        self._python = peer_python()
        self._env = {
            "BENCH_BROKER": f"redis://127.0.0.1:{port}/0",
            "BENCH_BACKEND": f"redis://127.0.0.1:{port}/1",
            "BENCH_STAMPS": str(self.stamps.file),
            "BENCH_PREFETCH": str(pool.prefetch),
            "BENCH_TRANSPORT": json.dumps(dict(pool.transport)),
            "PYTHONPATH": PYTHONPATH,
        }

    @property
    def client(self) -> Program:
        """The first client."""
        return self.clients[0]

    def pids(self) -> dict[str, list[int]]:
        """Returns the process ids of each of its parts."""
        clients = [client.pid for client in self.clients]
        return {"client": clients, "worker": [worker.pid for worker in self.workers], "redis": [self.redis.pid]}

    async def start_worker(self) -> GuardedProcess:
        """Starts a worker; ask a client for `ready` to wait for it."""
        name = f"{self.pool.name}-{next(_numbers)}"
        quiet = ("--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat")
        command = (
            self._python,
            "-m",
            "celery",
            "--app",
            "bench.jobs.peer.app",
            "worker",
            "--hostname",
            f"{name}@bench",
        )
        argv = (*command, *quiet, "--queues", self.pool.queues, *self.pool.options)
        spec = ProcessSpec(name=name, argv=argv, log=self._home / f"{name}.log", env=self._env)
        worker = await GuardedProcess.launch(spec, lambda _: None)
        self.workers.append(worker)
        return worker

    async def start_client(self) -> Program:
        """Starts a producer process."""
        client = await Program.start("bench.jobs.peer.client", env=self._env, python=self._python)
        self.clients.append(client)
        return client

    async def results(self) -> int:
        """Returns how many results are stored."""
        return int(await self._redis("DBSIZE"))

    async def forget(self) -> None:
        """Removes all results."""
        await self._redis("FLUSHDB")

    async def stop(self) -> None:
        """Ends clients and workers."""
        for client in self.clients:
            await client.stop()
        for worker in self.workers:
            await worker.stop(_STOP_SECONDS)

    async def _redis(self, command: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(f"SELECT 1\r\n{command}\r\n".encode())
            await reader.readline()
            return (await reader.readline()).decode().strip().lstrip(":+")
        finally:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def running_celery(setting: Setting, *pools: Pool, workers: int = 1) -> AsyncIterator[list[Celery]]:
    """Runs each pool on a Redis of its own, warm if it has workers: one task has run. Raises PeerMissingError."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_running(setting, pool, workers)) for pool in pools]


@asynccontextmanager
async def _running(setting: Setting, pool: Pool, workers: int) -> AsyncIterator[Celery]:
    home = setting.home / f"celery-{next(_numbers)}"
    home.mkdir()
    redis, port = await _start_redis(home)
    celery = Celery(pool, home, redis, port)
    try:
        for _ in range(workers):
            await celery.start_worker()
        for _ in range(setting.clients):
            await celery.start_client()
        if workers:
            await celery.client.ask("ready", seconds=_START_SECONDS)
        yield celery
    finally:
        await celery.stop()
        await redis.stop(_STOP_SECONDS)
        shutil.rmtree(home, ignore_errors=True)


async def _start_redis(home: Path) -> tuple[GuardedProcess, int]:
    """Starts a Redis that keeps nothing on disk, which is its fastest."""
    peer_python()  # the server may come with the environment
    port, ready = free_port(), asyncio.Event()
    argv = (redis_server(), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(home), "--save", "")
    spec = ProcessSpec(name="redis", argv=(*argv, "--appendonly", "no"), log=home / "redis.log")
    redis = await GuardedProcess.launch(spec, lambda line: ready.set() if "eady to accept" in line else None)
    await asyncio.wait_for(ready.wait(), _START_SECONDS)
    return redis, port
