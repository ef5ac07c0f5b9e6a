"""How a training run speaks to the mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from mistudio.v1 import MetricPoint
from mistudio_runtime.jobs import JobContext, JobStoppedError, Stop
from mistudio_sae.reporting import Stopped, StopRequest


class TrainingReporter:
    """A mistudio_sae Reporter: passes progress, metrics and log lines to the job, and its stop requests back."""

    def __init__(
        self, context: JobContext, names: Sequence[str], outputs: int, keep: Callable[[MetricPoint], None]
    ) -> None:
        """Takes the names of the SAEs of the sweep, how many SAEs are made in all, and who keeps each metric point."""
        self._context = context
        self._names = names
        self._outputs = outputs
        self._keep = keep
        self._trained = False
        self._evaluated = self._evaluating = 0

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """Reports the stage; the evaluations of all SAEs at the end are one stage."""
        if stage == "evaluate":
            self._evaluation(done, total, unit)
            return
        self._trained = stage == "train" and done >= total
        self._context.progress(stage, done, total, unit)

    def metric(self, name: str, value: float, step: int, tokens: int, labels: Mapping[str, str]) -> None:
        """Reports a point and keeps it, labelled with the SAE's name instead of its place."""
        named = {**labels, "sae": self._names[int(labels["sae"]) % len(self._names)]}
        self._context.metric(name, value, step=step, tokens=tokens, labels=named)
        point = MetricPoint(name=name, value=value, step=step, tokens=tokens, labels=named)
        point.time.GetCurrentTime()
        self._keep(point)

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
        self._trained = True  # what is evaluated from here on is what comes of the job
        return StopRequest.FINISH

    def _evaluation(self, done: int, total: int, unit: str) -> None:
        # Between two steps an evaluation is part of training, and its bar would hide how far that is.
        if not self._trained:
            return
        if done < self._evaluating:
            self._evaluated += 1
        self._evaluating = done
        self._context.progress("evaluate", self._evaluated * total + done, self._outputs * total, unit)


@contextmanager
def obeying_stops() -> Iterator[None]:
    """Lets a run that stopped as asked end the job as stopped."""
    try:
        yield
    except Stopped as stopped:
        raise JobStoppedError(Stop(stopped.request.value)) from stopped
