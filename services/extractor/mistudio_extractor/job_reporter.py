"""How a long computation of the science library speaks to the mesh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mistudio_runtime.jobs import JobContext, JobStoppedError, Stop
from mistudio_sae.reporting import Stopped, StopRequest


class JobReporter:
    """A mistudio_sae Reporter: passes progress, metrics and log lines to the job, and its stop requests back."""

    def __init__(self, context: JobContext) -> None:
        """Takes the job's context, whose stages are declared."""
        self._context = context

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """Reports the stage."""
        self._context.progress(stage, done, total, unit)

    def metric(self, name: str, value: float, step: int, tokens: int, labels: Mapping[str, str]) -> None:
        """Reports a point."""
        self._context.metric(name, value, step=step, tokens=tokens, labels=labels)

    def log(self, level: str, message: str) -> None:
        """Shows a line to whoever watches the job."""
        self._context.log(level, message)

    def should_stop(self) -> StopRequest | None:
        """Returns what the job is asked to do."""
        stop = self._context.stop_requested()
        if stop is not None:
            return StopRequest(stop.value)
        if not self._context.finish_requested():
            return None
        return StopRequest.FINISH


@contextmanager
def obeying_stops() -> Iterator[None]:
    """Lets a computation that stopped as asked end the job as stopped."""
    try:
        yield
    except Stopped as stopped:
        raise JobStoppedError(Stop(stopped.request.value)) from stopped
