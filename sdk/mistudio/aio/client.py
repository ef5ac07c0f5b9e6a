"""The asyncio client."""

from __future__ import annotations

from typing import Self

import grpc

from mistudio.aio.nouns import (
    AsyncArtifacts,
    AsyncDatasets,
    AsyncFeatures,
    AsyncJobs,
    AsyncMeshHealth,
    AsyncQueues,
    AsyncSchedules,
    AsyncTraining,
    AsyncWorkers,
)
from mistudio.aio.transport import AsyncTransport
from mistudio.channel import gateway_address
from mistudio.retries import RetryPolicy


class AsyncClient:
    """A client of the mesh; use it in an `async with` block, or close it. It belongs to one event loop.

    >>> async with AsyncClient("localhost:50051") as client:
    ...     job = await client.jobs.submit(DownloadDataset(bundled="python-topics"))
    ...     artifact_ids = await job.result()
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: float = 30.0,
        retry: RetryPolicy | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Connects at the first call.

        Args:
            address: "host:port" of a gateway, or of several with commas: another one is called when one stops
                answering. None takes $MISTUDIO_GATEWAY, else localhost:50051.
            timeout: Seconds that a call may take in all, retries included, unless it says itself.
            retry: How calls that are safe to repeat are retried while no gateway answers.
            credentials: For TLS; None connects without.
        """
        transport = AsyncTransport(gateway_address(address), timeout, retry or RetryPolicy(), credentials)
        self._transport = transport
        self.jobs = AsyncJobs(transport)
        self.queues = AsyncQueues(transport)
        self.schedules = AsyncSchedules(transport)
        self.workers = AsyncWorkers(transport)
        self.mesh = AsyncMeshHealth(transport)
        self.artifacts = AsyncArtifacts(transport)
        self.datasets = AsyncDatasets(transport)
        self.training = AsyncTraining(transport)
        self.features = AsyncFeatures(transport)

    @property
    def address(self) -> str:
        """Where the gateway is, or the gateways are."""
        return self._transport.address

    async def ready(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - gRPC keeps it
        """Waits until a gateway answers; False if none did within `timeout` seconds."""
        return await self._transport.ready(timeout)

    async def close(self) -> None:
        """Closes the connection; watches that are open end."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
