"""`python -m chaos.worker`: a real worker whose jobs are those of `chaos.jobs`."""

from __future__ import annotations

import asyncio
import sys

from chaos.jobs import SERVICES
from mistudio_runtime.broker.discovery import wait_for_broker
from mistudio_runtime.process import run_until_signalled
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings
from mistudio_runtime.telemetry.logging import configure_logging
from mistudio_runtime.worker.options import parse_options
from mistudio_runtime.worker.worker import Worker

_BROKER_SECONDS = 60.0


def main() -> None:
    """Runs the worker until it is signalled."""
    settings = Settings.load()
    configure_logging(settings, "worker")
    table = load_queues(settings.queues_file)
    options = parse_options([service.name for service in SERVICES], table, settings.host, sys.argv[1:])
    worker = Worker(settings, table, SERVICES, options)
    run_until_signalled(lambda stop: _run(worker, settings, stop))


async def _run(worker: Worker, settings: Settings, stop: asyncio.Event) -> None:
    await worker.run(settings.nats_url or await wait_for_broker(settings.home, _BROKER_SECONDS), stop)


if __name__ == "__main__":
    main()
