"""From the command line to a running worker."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from pydantic import SecretStr

from mistudio_runtime.broker.binary import BrokerError
from mistudio_runtime.broker.discovery import wait_for_broker
from mistudio_runtime.host.wanted_device import DeviceError, check_device
from mistudio_runtime.process import run_until_signalled, unless_stopped
from mistudio_runtime.queues import QueueTableError, load_queues
from mistudio_runtime.settings import Settings, SettingsError
from mistudio_runtime.stack.record import discover_token
from mistudio_runtime.telemetry.logging import configure_logging
from mistudio_runtime.token_file import warn_of_readers, with_worker_token
from mistudio_runtime.worker.options import parse_options
from mistudio_runtime.worker.services import ServiceError, handlers_by_kind, load_services
from mistudio_runtime.worker.session import SessionRefusedError
from mistudio_runtime.worker.worker import Worker

_CONFIGURED_WRONGLY = 2
_BROKER_SECONDS = 60.0


def run_worker(services: Sequence[str], argv: Sequence[str] | None = None) -> None:
    """Runs services (those of --services if none are given) until SIGTERM or SIGINT, then drains.

    Ends the process with 2 and a sentence if the configuration is wrong.
    """
    try:
        settings = _with_token(Settings.load())
        table = load_queues(settings.queues_file)
        options = parse_options(services, table, settings.host, sys.argv[1:] if argv is None else argv)
        if options.device is not None:
            settings = settings.model_copy(update={"device": options.device})
        configure_logging(settings, options.name.partition("@")[0])
        warn_of_readers(settings)
        loaded = load_services(options.services, table)
        check_device(settings.device, handlers_by_kind(loaded))
        worker = Worker(settings, table, loaded, options)
        run_until_signalled(lambda stop: _run(worker, settings, stop))
    except (SettingsError, QueueTableError, ServiceError, DeviceError, SessionRefusedError, BrokerError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_CONFIGURED_WRONGLY)


def _with_token(settings: Settings) -> Settings:
    """Takes the token from its file, or from the stack that runs in this home, which a worker by hand then joins."""
    settings = with_worker_token(settings)
    if settings.token.get_secret_value() or not (token := discover_token(settings.home)):
        return settings
    return settings.model_copy(update={"token": SecretStr(token)})


async def _run(worker: Worker, settings: Settings, stop: asyncio.Event) -> None:
    url = settings.nats_url or await unless_stopped(stop, wait_for_broker(settings.home, _BROKER_SECONDS))
    await worker.run(url, stop)
