"""`python -m bench.jobs.worker`: a worker of the real kind whose jobs are the bench's."""

from __future__ import annotations

import asyncio
import sys

from mistudio_runtime.broker.discovery import wait_for_broker
from mistudio_runtime.jobs import Handler, Service
from mistudio_runtime.process import run_until_signalled
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings
from mistudio_runtime.telemetry.logging import configure_logging
from mistudio_runtime.worker.options import parse_options
from mistudio_runtime.worker.worker import Worker

_BROKER_SECONDS = 60.0
SERVICE = Service(
    "curator",
    (
        Handler("collect_garbage", "bench.jobs.handlers:noop", isolation="inline"),
        Handler("verify_artifacts", "bench.jobs.handlers:started", isolation="inline"),
        Handler("prune_checkpoints", "bench.jobs.handlers:busy"),
    ),
)


def main() -> None:
    """Runs the worker until it is signalled."""
    settings = Settings.load()
    configure_logging(settings, "bench")
    table = load_queues(settings.queues_file)
    options = parse_options((SERVICE.name,), table, settings.host, sys.argv[1:])
    worker = Worker(settings, table, (SERVICE,), options)

    async def run(stop: asyncio.Event) -> None:
        await worker.run(await wait_for_broker(settings.home, _BROKER_SECONDS), stop)

    run_until_signalled(run)


if __name__ == "__main__":
    main()
