"""The sinks that a job asks for, as one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mistudio.v1 import MetricPoint, TrainSae
from mistudio_runtime.jobs import JobContext, PermanentFailure
from mistudio_trainer.metric_sink import MetricSink
from mistudio_trainer.metrics_log import MetricsLog
from mistudio_trainer.scratch_folder import ScratchFolder
from mistudio_trainer.tensorboard_sink import TensorBoardSink
from mistudio_trainer.wandb_sink import WandbSink

_PACKAGES = {"tensorboard": "tensorboard", "wandb_project": "wandb"}
"""Field of the spec to the package, and the extra of the same name, that it needs."""


def check_packages(spec: TrainSae) -> None:
    """Raises PermanentFailure if a sink is asked for whose package this worker lacks."""
    for field, package in _PACKAGES.items():
        if getattr(spec, field) and importlib.util.find_spec(package) is None:
            raise PermanentFailure(
                f"{field}: this worker has no {package}; install it there with pip install 'mistudio[{package}]', "
                f"or leave {field} out",
                reason="MISSING_PACKAGE",
            )


class MetricSinks:
    """Gives each point to the log, then to the others."""

    def __init__(self, log: MetricsLog, others: Sequence[MetricSink]) -> None:
        """Takes the log, which the others may read, and the others."""
        self._log = log
        self._others = others

    def append(self, point: MetricPoint) -> None:
        """Takes a point."""
        self._log.append(point)
        for sink in self._others:
            sink.append(point)


@contextmanager
def open_sinks(spec: TrainSae, scratch: ScratchFolder, context: JobContext) -> Iterator[MetricSinks]:
    """Yields all sinks of a job; they are closed at the end, complete only if nothing was raised."""
    with MetricsLog(scratch.metrics) as log:
        others: list[MetricSink] = []
        complete = False
        try:
            if spec.tensorboard:
                others.append(TensorBoardSink(scratch.tensorboard, context.log))
            if spec.wandb_project:
                others.append(WandbSink(scratch, spec, context))
            yield MetricSinks(log, others)
            complete = True
        finally:
            for sink in others:
                sink.close(complete=complete)
