"""How long computations speak to whoever started them: progress, metrics, log lines, and whether to stop."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol


class StopRequest(StrEnum):
    """Why a running computation should end early."""

    CANCEL = "cancel"
    """Throw the work away."""
    PAUSE = "pause"
    """Keep a checkpoint; somebody resumes later."""
    DRAIN = "drain"
    """Keep a checkpoint; the process is about to end and another one resumes."""
    FINISH = "finish"
    """End now and return what there is as the result."""


class Reporter(Protocol):
    """What a caller of a long computation provides; every method must return quickly."""

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """Say that `done` of `total` units of `stage` are finished, e.g. ("train", 40960, 1000000, "tokens")."""

    def metric(self, name: str, value: float, step: int, tokens: int, labels: Mapping[str, str]) -> None:
        """Record one point of a time series, measured after `step` steps and `tokens` tokens."""

    def log(self, level: str, message: str) -> None:
        """Record one line for a person; level is "debug", "info", "warning" or "error"."""

    def should_stop(self) -> StopRequest | None:
        """Return the pending request to stop, or None to go on; polled at every step."""


class SilentReporter:
    """A reporter that does nothing and never stops a computation."""

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """Ignore it."""

    def metric(self, name: str, value: float, step: int, tokens: int, labels: Mapping[str, str]) -> None:
        """Ignore it."""

    def log(self, level: str, message: str) -> None:
        """Ignore it."""

    def should_stop(self) -> StopRequest | None:
        """Never ask to stop."""
        return None


class Stopped(Exception):  # noqa: N818 - not an error: the computation did what it was asked
    """Raised by a computation that ended early because its reporter asked for it; `request` says why."""

    def __init__(self, request: StopRequest) -> None:
        super().__init__(f"stopped on request: {request}")
        self.request = request
