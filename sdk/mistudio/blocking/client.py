"""The blocking client."""

from __future__ import annotations

from typing import Self

import grpc

from mistudio.blocking.nouns import (
    Artifacts,
    Datasets,
    Features,
    Jobs,
    MeshHealth,
    Queues,
    Schedules,
    Training,
    Workers,
)
from mistudio.blocking.transport import Transport
from mistudio.channel import gateway_address
from mistudio.retries import RetryPolicy


class Client:
    """A client of the mesh; use it in a `with` block, or close it. Safe to share between threads.

    >>> with Client("localhost:50051") as client:
    ...     job = client.jobs.submit(DownloadDataset(bundled="python-topics"))
    ...     artifact_ids = job.result()
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
        transport = Transport(gateway_address(address), timeout, retry or RetryPolicy(), credentials)
        self._transport = transport
        self.jobs = Jobs(transport)
        self.queues = Queues(transport)
        self.schedules = Schedules(transport)
        self.workers = Workers(transport)
        self.mesh = MeshHealth(transport)
        self.artifacts = Artifacts(transport)
        self.datasets = Datasets(transport)
        self.training = Training(transport)
        self.features = Features(transport)

    @property
    def address(self) -> str:
        """Where the gateway is, or the gateways are."""
        return self._transport.address

    def ready(self, timeout: float = 10.0) -> bool:
        """Waits until a gateway answers; False if none did within `timeout` seconds."""
        return self._transport.ready(timeout)

    def close(self) -> None:
        """Closes the connection; watches that are open end."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
