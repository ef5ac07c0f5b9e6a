"""Structured logs: one JSON object a line on stdout, or pretty lines on a terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import structlog
from structlog.typing import Processor

from mistudio_runtime.settings import Settings
from mistudio_runtime.telemetry.redaction import Redactor

CHATTY = ("asyncio", "filelock", "fsspec", "grpc", "httpcore", "httpx", "nats", "urllib3")
"""Libraries whose routine messages help nobody, and some of which log whole URLs."""


ADOPTED = ("datasets", "huggingface_hub", "torch", "transformers")
"""Libraries that write to stderr by handlers of their own, which would be lines without time, level or job."""


def configure_logging(settings: Settings, service: str, **fields: Any) -> None:
    """Routes structlog and the standard library's logging to stdout, with service name, pid and UTC time in each line.

    `fields` are in each line, too. May be called again: the latest settings hold. Secrets are redacted (see
    `Redactor`).
    """
    shared = _shared_processors({"service": service, **fields})
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()], processors=_rendering(settings)
        )
    )
    level = getattr(logging, settings.log_level.upper())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)
    for name in ADOPTED:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING) if level > logging.DEBUG else logging.DEBUG)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Returns a logger; keyword arguments of its calls become fields of the line."""
    return structlog.stdlib.get_logger(name)


def redactor(settings: Settings) -> Redactor:
    """Returns what keeps this process's secrets out of texts."""
    return Redactor([settings.token.get_secret_value(), urlsplit(settings.nats_url).password or ""])


def _shared_processors(fields: Mapping[str, Any]) -> list[Processor]:
    def bind(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in fields.items():
            event.setdefault(name, value)
        event.setdefault("pid", os.getpid())
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        bind,
    ]


def _rendering(settings: Settings) -> list[Processor]:
    pretty = settings.log_format == "pretty" or (settings.log_format == "auto" and sys.stdout.isatty())
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        redactor(settings),
        _pretty() if pretty else structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


def _pretty() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )
