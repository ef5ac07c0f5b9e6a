"""A connection to the broker that never gives up."""

from __future__ import annotations

import time

import structlog
from nats.aio.client import Client
from nats.errors import SlowConsumerError

from mistudio_runtime.broker.url import address_of, servers_of

log = structlog.get_logger(__name__)

_SAY_AGAIN_SECONDS = 10.0
"""Between two lines on a broker that does not answer: it is asked four times a second."""


async def connect(url: str, name: str) -> Client:
    """Connects to any server of the URL, waiting as long as it takes; afterwards reconnects by itself for ever.

    Raises nats.errors.Error if the server refuses the credentials.
    """

    async def on_disconnect() -> None:
        if not client.is_closed and not client.is_draining:
            log.warning("broker connection lost; reconnecting")

    async def on_reconnect() -> None:
        log.info("broker connection is back")

    said = -_SAY_AGAIN_SECONDS

    async def on_error(error: Exception) -> None:
        nonlocal said
        kind = type(error).__name__
        if client.is_connected:
            # The only place where a permission violation or a slow consumer shows.
            log.warning("broker error", kind=kind, slow_consumer=isinstance(error, SlowConsumerError))
        elif time.monotonic() - said >= _SAY_AGAIN_SECONDS:
            said = time.monotonic()
            log.warning("no broker answers; trying again", broker=address_of(url), kind=kind)

    client = Client()
    await client.connect(
        servers_of(url),
        name=name,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.25,  # type: ignore[arg-type]  # seconds; a fraction is only missing in its annotation
        connect_timeout=2,
        disconnected_cb=on_disconnect,
        reconnected_cb=on_reconnect,
        error_cb=on_error,
    )
    return client
