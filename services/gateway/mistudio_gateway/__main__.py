"""`python -m mistudio_gateway`: the gateway, with a broker of its own unless MISTUDIO_NATS_URL names one."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from mistudio_gateway.gateway import running_gateway
from mistudio_runtime.broker.binary import BrokerError
from mistudio_runtime.broker.embedded import broker_url
from mistudio_runtime.process import run_until_signalled, unless_stopped
from mistudio_runtime.queues import QueueTableError
from mistudio_runtime.schedules import ScheduleTableError
from mistudio_runtime.service_manager import announce_ready
from mistudio_runtime.serving.server import MeshServer, PortTakenError
from mistudio_runtime.settings import Settings, SettingsError
from mistudio_runtime.telemetry.logging import configure_logging, get_logger
from mistudio_runtime.token_file import warn_of_readers, with_gateway_token

USAGE_ERROR = 2


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the gateway until `stop` is set."""
    log = get_logger(__name__)
    async with AsyncExitStack() as stack:
        server = await unless_stopped(stop, _start(settings, stack))
        log.info("gateway is ready", port=server.port)
        announce_ready()
        await stop.wait()
        log.info("gateway stops")


async def _start(settings: Settings, stack: AsyncExitStack) -> MeshServer:
    url = await stack.enter_async_context(broker_url(settings))
    return await stack.enter_async_context(running_gateway(settings, url))


def main() -> None:
    """Runs the gateway; ends with 2 if it is configured wrongly."""
    try:
        settings = with_gateway_token(Settings.load())
        configure_logging(settings, "gateway")
        warn_of_readers(settings)
        run_until_signalled(lambda stop: serve(settings, stop))
    except (SettingsError, QueueTableError, ScheduleTableError, PortTakenError, BrokerError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_ERROR)


if __name__ == "__main__":
    main()
