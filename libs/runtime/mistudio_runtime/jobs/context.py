"""What a running job sees of the mesh."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from mistudio.v1 import AttemptReport, LogLine, MetricPoint
from mistudio_runtime.artifacts import ArtifactDraft, ArtifactStore
from mistudio_runtime.jobs.failures import JobStoppedError
from mistudio_runtime.jobs.progress import StageProgress
from mistudio_runtime.jobs.stop import Stop
from mistudio_runtime.jobs.text import carried
from mistudio_runtime.settings import Settings


class JobContext:
    """Handed to a job kind's `run`. Safe to use from several threads of the job."""

    def __init__(
        self,
        *,
        job_id: str,
        attempt: int,
        store: ArtifactStore,
        settings: Settings,
        emit: Callable[[AttemptReport], None],
        device: str = "",
    ) -> None:
        """Takes the attempt, where its reports go, and the device that it was granted, if it was."""
        self._device = device
        self.job_id = job_id
        self.attempt = attempt
        self.store = store
        self.settings = settings
        self._emit = emit
        self._progress = StageProgress({})
        self._stop: Stop | None = None
        self._finish = False
        self._lock = threading.Lock()

    @property
    def scratch(self) -> Path:
        """A folder that survives attempts (checkpoints, half-done downloads); removed when the job has succeeded."""
        folder = self.settings.scratch / self.job_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def device(self, wanted: str) -> str:
        """Returns the device to use for what a spec names: the granted one.

        Without one it is this worker's own where the spec names none, or "cuda" without a number.
        """
        if self._device:
            return self._device
        own = self.settings.device
        unspecific = wanted == "" or (wanted == "cuda" and own.startswith("cuda"))
        return own if unspecific and own else wanted

    def stages(self, shares: Mapping[str, float]) -> None:
        """Declares the stages in order with their share of the work, so that the overall progress can be told."""
        self._progress = StageProgress(shares)

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """Reports `done` of `total` units of a stage; cheap enough for every step (the mesh coalesces)."""
        with self._lock:
            self._report(AttemptReport(progress=self._progress.update(stage, done, total, unit)))

    def metric(
        self, name: str, value: float, *, step: int, tokens: int = 0, labels: Mapping[str, str] | None = None
    ) -> None:
        """Reports a measured value; never dropped."""
        point = MetricPoint(name=name, value=value, step=step, tokens=tokens, labels=dict(labels or {}), time=_now())
        self._report(AttemptReport(metric=point))

    def log(self, level: str, message: str) -> None:
        """Shows a line to whoever watches the job. Never put a secret in it."""
        self._report(AttemptReport(log=LogLine(level=level, message=carried(message), time=_now())))

    def stop_requested(self) -> Stop | None:
        """Returns why the job is to stop, if it is; never FINISH, which is no stop."""
        return self._stop

    def finish_requested(self) -> bool:
        """Tells whether the job is to commit what it has and return as if it were done.

        A cancel, a pause or a drain that comes as well counts more: a job looks for these first.
        """
        return self._finish

    def raise_if_stopped(self) -> None:
        """Raises JobStoppedError if the job is asked to stop; call it wherever stopping is safe."""
        if self._stop is not None:
            raise JobStoppedError(self._stop)

    def request_stop(self, stop: Stop) -> None:
        """Asks the job to stop, or to finish; a cancel overrides a pause, never the reverse."""
        if stop is Stop.FINISH:
            self._finish = True
        elif self._stop is not Stop.CANCEL:
            self._stop = stop

    def draft(
        self, kind: str, *, parents: list[str], parameters: Mapping[str, object], index: int = 0
    ) -> ArtifactDraft:
        """Begins the job's output number `index` (see ArtifactStore.draft)."""
        return self.store.draft(
            kind, job_id=self.job_id, attempt=self.attempt, index=index, parents=parents, parameters=parameters
        )

    def _report(self, report: AttemptReport) -> None:
        report.job_id, report.attempt = self.job_id, self.attempt
        self._emit(report)


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now
