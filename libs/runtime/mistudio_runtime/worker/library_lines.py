"""What a job's libraries log becomes lines of the job's log."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from mistudio_runtime.jobs import JobContext
from mistudio_runtime.telemetry.logging import ADOPTED, redactor
from mistudio_runtime.worker.paced_lines import PacedLines

_UNFIT = ("mistudio_runtime.worker.outcome",)
"""Loggers whose lines the end of the attempt tells anyway."""
_IMPLIED = frozenset(
    {"event", "exception", "job", "attempt", "level", "logger", "pid", "service", "stack", "timestamp"}
)
_WARNED_AT = re.compile(r"^\S+:\d+: ")


@contextmanager
def library_lines(context: JobContext, *, whole_process: bool) -> Iterator[None]:
    """Shows what is logged at WARNING and above, by whatever library, to whoever watches the job, without secrets.

    Takes what this thread logs, or what the whole process does.
    """
    job = _LibraryLines(context)
    thread = None if whole_process else threading.get_ident()
    _installed().jobs[thread] = job
    try:
        yield
    finally:
        del _installed().jobs[thread]
        job.lines.flush()


@cache
def _installed() -> _ByThread:
    # Once for a process: quick jobs come by the thousand, and adding a handler stops all logging for a moment.
    handler = _ByThread()
    for name in (None, *ADOPTED):
        logging.getLogger(name).addHandler(handler)
    return handler


class _ByThread(logging.Handler):
    """Leads each record to the job whose thread or process it comes from."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.jobs: dict[int | None, _LibraryLines] = {}
        """Thread to job; None for the job that has the whole process."""

    def emit(self, record: logging.LogRecord) -> None:
        """Passes a record on."""
        job = self.jobs.get(record.thread) or self.jobs.get(None)
        if job is not None:
            job.emit(record)


class _LibraryLines(logging.Handler):
    def __init__(self, context: JobContext) -> None:
        super().__init__(logging.WARNING)
        self.lines = PacedLines(context.log)
        self._settings = context.settings
        self._last: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Passes a record on once, though it may come from its own logger and from the root."""
        if record is self._last or record.name in _UNFIT:
            return
        self._last = record
        try:
            level = "error" if record.levelno >= logging.ERROR else "warning"
            self.lines(level, redactor(self._settings).text(_text(record)))
        except Exception:  # noqa: BLE001 - a library's bad format string must not end the job
            self.handleError(record)


def _text(record: logging.LogRecord) -> str:
    if isinstance(record.msg, dict):
        return _one_line(_of_event(record.msg))
    text = record.getMessage()
    if record.name == "py.warnings":  # "path:line: Category: text", then the line of code
        return _WARNED_AT.sub("", text.partition("\n")[0])
    error = record.exc_info[0] if record.exc_info else None
    raised = f" ({error.__name__}; its traceback is in the worker's log)" if error else ""
    return f"{record.name.partition('.')[0]}: {_one_line(text)}{raised}"


def _of_event(event: dict[str, Any]) -> str:
    fields = "".join(f" {key}={value}" for key, value in event.items() if key not in _IMPLIED and key[:1] != "_")
    return f"{event.get('event', '')}{fields}"


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))
