"""A client as people write them: it asks again, of any gateway, until it has an answer that settles the matter."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from mistudio import v1

_TRY_SECONDS = 5.0
_PAUSE_SECONDS = 0.3
_AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
)
_CHANNEL = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),
]


class RefusedError(Exception):
    """The mesh has answered, and the answer is no."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        """Takes the answer."""
        super().__init__(f"{error.code().name}: {error.details()}")
        self.code = error.code()


class Client:
    """Calls of JobService, each made until it is answered by one of the gateways."""

    def __init__(self, addresses: Sequence[str]) -> None:
        """Takes the gateways."""
        self.codes: collections.Counter[str] = collections.Counter()
        """Every status that was not OK."""
        self.strange: list[str] = []
        """Answers that no client should ever see: UNKNOWN and INTERNAL."""
        self._channels = [grpc.aio.insecure_channel(address, options=_CHANNEL) for address in addresses]
        self._turn = 0

    async def close(self) -> None:
        """Ends the connections."""
        for channel in self._channels:
            await channel.close()

    async def call(self, method: str, request: Any, *, seconds: float = _TRY_SECONDS) -> Any:
        """Returns the answer, however long that takes. Raises RefusedError."""
        while True:
            stub = v1.JobServiceStub(self._channels[self._turn % len(self._channels)])
            try:
                return await getattr(stub, method)(request, timeout=seconds)
            except grpc.aio.AioRpcError as error:
                self._note(method, error)
                if error.code() not in _AGAIN:
                    raise RefusedError(error) from error
            self._turn += 1
            await asyncio.sleep(_PAUSE_SECONDS)

    async def get(self, job_id: str) -> v1.Job:
        """Returns a job."""
        answer: v1.GetJobResponse = await self.call("GetJob", v1.GetJobRequest(job_id=job_id))
        return answer.job

    def _note(self, method: str, error: grpc.aio.AioRpcError) -> None:
        self.codes[error.code().name] += 1
        if error.code() in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL):
            self.strange.append(f"{method}: {error.code().name} {error.details()}")
