"""Work that waits while a broker cannot do it yet: no server leads, or too few of a cluster's servers are there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import nats.errors
import structlog
from nats.js.errors import APIError, ServiceUnavailableError

from mistudio_runtime.broker.binary import BrokerError

T = TypeVar("T")
log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 0.5
_SAY_AGAIN_SECONDS = 10.0
_NOT_CLUSTERED = 10074
_TOO_FEW_SERVERS = 10005
_NOT_YET = (_TOO_FEW_SERVERS, 10008, 10009, 10023, 10118)
"""No peers to place it on, no leader, not enough resources, or no leader of the stream: each may pass by itself."""


async def patiently(what: str, work: Callable[[], Awaitable[T]]) -> T:
    """Does work that is safe to repeat, again and again while the broker elects a leader or servers are missing.

    `what` names it in the log. Raises BrokerError if the broker can never do it, nats.errors.Error if it refuses it.
    """
    said = -_SAY_AGAIN_SECONDS
    while True:
        try:
            return await work()
        except (nats.errors.Error, TimeoutError) as error:
            if not _may_pass(error):
                raise
            if time.monotonic() - said >= _SAY_AGAIN_SECONDS:
                said = time.monotonic()
                log.warning("broker is not ready; trying again", to_do=what, why=_why(error))
        await asyncio.sleep(_PAUSE_SECONDS)


def _may_pass(error: Exception) -> bool:
    if not isinstance(error, APIError):
        return isinstance(error, TimeoutError | nats.errors.Error)
    if error.err_code == _NOT_CLUSTERED:
        raise BrokerError(
            "MISTUDIO_NATS_REPLICAS asks for copies on several servers, and the broker is a single one: "
            "unset it, or name a cluster in MISTUDIO_NATS_URL"
        ) from error
    return isinstance(error, ServiceUnavailableError) or error.err_code in _NOT_YET


def _why(error: Exception) -> str:
    if isinstance(error, APIError) and error.err_code == _TOO_FEW_SERVERS:
        return "it has too few servers for MISTUDIO_NATS_REPLICAS"
    return "it does not answer, or none of its servers leads"
