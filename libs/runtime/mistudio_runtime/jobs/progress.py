"""Overall progress of a job from the progress of its stages."""

import time
from collections.abc import Callable, Mapping

from mistudio.v1 import Progress

_ALMOST_DONE = 0.999  # 1.0 is said only by the gateway, after the artifacts are committed
_SMOOTHING = 0.3


class StageProgress:
    """Turns (stage, done, total) into a fraction that never falls and stays below 1."""

    def __init__(self, stages: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        """Takes the stages in order with their share of the work, in any unit; unknown stages count nothing."""
        whole = sum(stages.values()) or 1.0
        self._shares = {stage: share / whole for stage, share in stages.items()}
        self._clock = clock
        self._fraction = 0.0
        self._stage = ""
        self._last: tuple[float, int] = (0.0, 0)
        self._rate = 0.0

    def update(self, stage: str, done: int, total: int, unit: str) -> Progress:
        """Returns the progress after `done` of `total` units of `stage` (total 0: unknown)."""
        self._measure_rate(stage, done)
        self._fraction = max(self._fraction, min(_ALMOST_DONE, self._overall(stage, done, total)))
        progress = Progress(
            fraction=self._fraction, stage=stage, done=done, total=max(total, 0), unit=unit, rate=self._rate
        )
        if self._rate > 0 and total > 0:
            progress.eta.FromMilliseconds(int(1000 * max(0, total - done) / self._rate))
        return progress

    def _overall(self, stage: str, done: int, total: int) -> float:
        before = 0.0
        for name, share in self._shares.items():
            if name == stage:
                return before + share * min(1.0, done / total if total > 0 else 0.0)
            before += share
        return self._fraction

    def _measure_rate(self, stage: str, done: int) -> None:
        now = self._clock()
        if stage != self._stage:
            self._stage, self._rate, self._last = stage, 0.0, (now, done)
            return
        then, before = self._last
        if now - then < 0.2:  # noqa: PLR2004 - shorter intervals measure the scheduler, not the job
            return
        fresh = max(0.0, (done - before) / (now - then))
        self._rate = fresh if self._rate == 0.0 else self._rate + _SMOOTHING * (fresh - self._rate)
        self._last = (now, done)
