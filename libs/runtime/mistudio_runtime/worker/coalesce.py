"""Progress at the pace that people read it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mistudio import v1

_INTERVAL_SECONDS = 0.25


class CoalescedReports:
    """Passes reports on, of progress only the newest of each interval and the first of each stage. For any thread."""

    def __init__(self, emit: Callable[[v1.AttemptReport], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Takes where reports go."""
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._last = float("-inf")
        self._stage = ""
        self._newest: v1.AttemptReport | None = None

    def __call__(self, report: v1.AttemptReport) -> None:
        """Passes on one report, or keeps it until a newer one comes."""
        if report.WhichOneof("report") == "progress":
            with self._lock:
                self._newest = report
                if self._is_due(report.progress):
                    self._pass_on()
        else:
            self._emit(report)

    def flush(self) -> None:
        """Passes on what is kept: the last word before the end."""
        with self._lock:
            self._pass_on()

    def _is_due(self, progress: v1.Progress) -> bool:
        complete = 0 < progress.total <= progress.done  # a total of 0 is unknown
        return complete or progress.stage != self._stage or self._clock() - self._last >= _INTERVAL_SECONDS

    def _pass_on(self) -> None:
        report, self._newest = self._newest, None
        if report is not None:
            self._stage, self._last = report.progress.stage, self._clock()
            self._emit(report)
