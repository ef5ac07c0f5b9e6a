"""Warnings about what goes on and on."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 30.0


class PacedWarning:
    """Logs a warning when it says something new, and else once in a while."""

    def __init__(self, event: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes the line."""
        self._event = event
        self._clock = clock
        self._facts: dict[str, object] = {}
        self._said = float("-inf")

    def say(self, **facts: object) -> bool:
        """Logs the line with these facts, unless it did lately; returns whether it did."""
        if facts == self._facts and self._clock() - self._said < PERIOD_SECONDS:
            return False
        self._facts, self._said = facts, self._clock()
        log.warning(self._event, **facts)
        return True

    def over(self) -> None:
        """Notes that it is over: the next time is new."""
        self._facts = {}
