"""Lines at a pace that an event log can bear."""

from __future__ import annotations

import time
from collections.abc import Callable

BURST = 20
"""So many lines may come at once."""
LINES_A_SECOND = 1.0
_REMEMBERED = 100
_TELL_REPEATS_SECONDS = 30.0


class PacedLines:
    """Passes lines on; those that repeat one, or are too many, are counted, and the count is told."""

    def __init__(self, tell: Callable[[str, str], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Takes where lines go, as level and text."""
        self._tell = tell
        self._clock = clock
        self._room = float(BURST)
        self._filled = self._told_repeats = clock()
        self._repeats: dict[tuple[str, str], int] = {}
        self._left_out = 0

    def __call__(self, level: str, text: str) -> None:
        """Passes on or counts one line."""
        if self._clock() - self._told_repeats > _TELL_REPEATS_SECONDS or len(self._repeats) >= _REMEMBERED:
            self._forget()
        line = level, text
        if line in self._repeats:
            self._repeats[line] += 1
        else:
            self._repeats[line] = 0
            self._pass_on(level, text)

    def flush(self) -> None:
        """Tells what was only counted so far."""
        self._forget()
        if self._left_out:
            self._tell("warning", _left_out(self._left_out))
            self._left_out = 0

    def _forget(self) -> None:
        for (level, text), times in self._repeats.items():
            if times:
                self._pass_on(level, f"{text} ({times} more times)")
        self._repeats.clear()
        self._told_repeats = self._clock()

    def _pass_on(self, level: str, text: str) -> None:
        now = self._clock()
        self._room = min(float(BURST), self._room + LINES_A_SECOND * (now - self._filled))
        self._filled = now
        if self._room < 1:
            self._left_out += 1
            return
        self._room -= 1
        if self._left_out:
            self._tell("warning", _left_out(self._left_out))
            self._left_out = 0
        self._tell(level, text)


def _left_out(count: int) -> str:
    return f"{count} lines are left out here; the worker's log has them"
