"""What the stack prints in the foreground: its own sentences and the lines of its processes, prefixed."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any, TextIO

import structlog

NAME = "mistudio"
_NOISE = ("[INF]", "Plaintext passwords")
"""Of the broker: its banner, and a password in a file that only its owner can read. Both stand in its log."""


class Console:
    """Prints whole lines. A terminal that is gone costs the lines, not the stack."""

    def __init__(self, names: list[str], *, pretty: bool, stream: TextIO | None = None) -> None:
        """Takes the process names, whose longest sets the prefix's width, and whether JSON lines are made readable."""
        self._stream = stream or sys.stdout
        self._width = max(len(name) for name in [NAME, *names])
        colors = pretty and self._stream.isatty()
        self._renderer = (
            structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, sort_keys=False) if pretty else None
        )

    def say(self, text: str) -> None:
        """Prints a sentence of the supervisor's own."""
        self._print(NAME, text)

    def line(self, name: str, text: str) -> None:
        """Prints a process's line."""
        if name == "broker" and any(noise in text for noise in _NOISE):
            return
        self._print(name, self._readable(text))

    def _readable(self, text: str) -> str:
        if self._renderer is None or not text.startswith("{"):
            return text
        try:
            event: dict[str, Any] = json.loads(text)
        except ValueError:
            return text
        for implied in ("service", "pid"):  # the prefix says it
            event.pop(implied, None)
        exception = event.pop("exception", None)
        rendered = self._renderer(None, "", event)
        return f"{rendered}\n{exception}" if exception else str(rendered)

    def _print(self, name: str, text: str) -> None:
        prefix = f"{name:<{self._width}} | "
        with suppress(OSError, ValueError):
            self._stream.write("".join(f"{prefix}{line}\n" for line in text.splitlines() or [""]))
            self._stream.flush()
