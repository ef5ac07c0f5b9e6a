"""Waiting until the gateway knows every worker of the stack."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import grpc.aio

from mistudio.v1 import ListWorkersRequest, WorkerServiceStub
from mistudio_runtime.stack.health import LOCAL_CHANNEL

if TYPE_CHECKING:
    from mistudio.v1 import WorkerServiceAsyncStub  # the generated module has it for type checkers only

SLOW_SECONDS = 60.0
"""After so long the user hears who is missing."""
_PAUSE_SECONDS = 0.2
_CALL_SECONDS = 5.0


async def wait_until_attached(
    address: str,
    pids: Callable[[], Mapping[str, int | None]],
    complain: Callable[[list[str]], None],
    slow_seconds: float = SLOW_SECONDS,
) -> None:
    """Returns once workers with all these process ids, which a restart may change, have a session with the gateway.

    If that takes longer than `slow_seconds`, calls `complain` once with the names that are missing, and waits on.
    """
    clock = asyncio.get_running_loop().time
    patience = clock() + slow_seconds
    async with grpc.aio.insecure_channel(address, options=LOCAL_CHANNEL) as channel:
        stub = WorkerServiceStub(channel)
        while missing := await _missing(stub, pids()):
            if clock() > patience:
                complain(missing)
                patience = float("inf")
            await asyncio.sleep(_PAUSE_SECONDS)


async def _missing(stub: WorkerServiceAsyncStub, pids: Mapping[str, int | None]) -> list[str]:
    try:
        answer = await stub.ListWorkers(ListWorkersRequest(), timeout=_CALL_SECONDS, wait_for_ready=True)
    except grpc.aio.AioRpcError:
        return list(pids)  # the gateway is being started again
    here = socket.gethostname()
    attached = {status.worker.pid for status in answer.workers if status.worker.host == here}
    return [name for name, pid in pids.items() if pid not in attached]
