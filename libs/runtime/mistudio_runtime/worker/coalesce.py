"""Progress at the pace that people read it."""

from __future__ import annotations

import time
from collections.abc import Callable

from mistudio import v1

_INTERVAL_SECONDS = 0.25


class CoalescedReports:
    """Passes reports on, of progress only the newest of each interval and the first of each stage."""

    def __init__(self, emit: Callable[[v1.AttemptReport], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Takes where reports go."""
        self._emit = emit
        self._clock = clock
        self._last = float("-inf")
        self._stage = ""

    def __call__(self, report: v1.AttemptReport) -> None:
        """Passes on or drops one report."""
        if report.WhichOneof("report") == "progress":
            complete = 0 < report.progress.total <= report.progress.done  # a total of 0 is unknown
            if report.progress.stage == self._stage and not complete and self._clock() - self._last < _INTERVAL_SECONDS:
                return
            self._stage, self._last = report.progress.stage, self._clock()
        self._emit(report)
