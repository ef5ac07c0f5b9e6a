"""A mesh with two gateways: A, which is the mesh's own address, and B."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

import grpc
import grpc.aio

from mistudio import v1
from mistudio.aio.client import AsyncClient
from support.mesh import Mesh, free_port
from support.waiting import eventually


class TwoGateways(Mesh):
    """Workers and clients know both gateways; `toy` and the mesh's own calls go to A, what is named `b` to B."""

    def __init__(self, home: Path, nats_url: str) -> None:
        super().__init__(home, nats_url)
        self.address_b = f"127.0.0.1:{free_port()}"
        self.environment["MISTUDIO_GATEWAY"] = self.addresses
        self._channel_b: grpc.aio.Channel | None = None

    @property
    def addresses(self) -> str:
        """Both, as workers and clients are told."""
        return f"{self.address},{self.address_b}"

    async def __aenter__(self) -> Self:
        self._channel_b = grpc.aio.insecure_channel(self.address_b)
        return self

    async def __aexit__(self, *reason: object) -> None:
        assert self._channel_b is not None
        await self._channel_b.close()
        await super().__aexit__(*reason)

    async def gateway_b(self, **environment: str) -> subprocess.Popen[bytes]:
        """Starts B and waits until it answers."""
        process = self.start("-m", "mistudio_gateway", MISTUDIO_LISTEN=self.address_b, **environment)
        await eventually(lambda: self.knows(None), what="B answers")
        return process

    @property
    def b(self) -> v1.JobServiceStub:
        """Jobs, as B has them."""
        return v1.JobServiceStub(self._channel_b)

    @property
    def workers_b(self) -> v1.WorkerServiceStub:
        """Workers, as B has them."""
        return v1.WorkerServiceStub(self._channel_b)

    async def knows(self, worker: str | None) -> bool:
        """Tells whether B knows a worker; with None whether it answers."""
        try:
            answer = await self.workers_b.ListWorkers(v1.ListWorkersRequest(), timeout=2)
        except grpc.aio.AioRpcError:
            return False
        return worker is None or any(status.worker.name == worker for status in answer.workers)

    async def get_b(self, job_id: str) -> v1.Job:
        """Reads a job at B."""
        return (await self.b.GetJob(v1.GetJobRequest(job_id=job_id), timeout=20)).job

    async def client(self) -> AsyncClient:
        """Returns a client that knows both and has called one of those that are there."""
        client = AsyncClient(self.addresses)
        assert await client.ready()
        return client
