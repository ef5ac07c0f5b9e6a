"""TensorBoard event files of a job, one run an SAE."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mistudio.v1 import MetricPoint
from mistudio_trainer.metric_sink import run_name

if TYPE_CHECKING:
    from mistudio_trainer.event_files import EventFiles

TENSORBOARD_FOLDER = "tensorboard"


class TensorBoardSink:
    """Writes under a folder that `tensorboard --logdir` can be pointed at while the job runs."""

    def __init__(self, folder: Path, log: Callable[[str, str], None]) -> None:
        """Takes the folder, and who hears a line of a level."""
        self._folder = folder
        self._log = log
        self._runs: dict[str, EventFiles] = {}
        self._broken = False
        log("info", f"watch it with: tensorboard --logdir {folder}")

    def append(self, point: MetricPoint) -> None:
        """Writes a point; an error of the disk ends the writing with a warning, and not the training."""
        if self._broken:
            return
        try:
            time = point.time.seconds + point.time.nanos / 1e9
            self._run(run_name(point)).add(point.name, point.value, point.step, time)
        except OSError as error:
            self._broken = True
            self._log("warning", f"TensorBoard gets no more points: {error}")

    def close(self, *, complete: bool) -> None:  # noqa: ARG002 - the same files either way
        """Ends the files."""
        for run in self._runs.values():
            try:
                run.close()
            except OSError as error:
                self._log("warning", f"the last points did not reach TensorBoard: {error}")

    def _run(self, name: str) -> EventFiles:
        from mistudio_trainer.event_files import EventFiles  # noqa: PLC0415 - tensorboard is optional

        if name not in self._runs:
            self._runs[name] = EventFiles(self._folder / name)
        return self._runs[name]
