"""A reporter that remembers what it is told and asks to stop when its test wants it to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mistudio_sae.reporting import StopRequest


@dataclass
class RecordingReporter:
    request: StopRequest | None = None
    stop_at_tokens: int = 0
    trained: int = 0
    progressed: list[tuple[str, int, int, str]] = field(default_factory=list)
    metrics: dict[tuple[str, str, int], float] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        self.progressed.append((stage, done, total, unit))
        if stage == "train":
            self.trained = done

    def metric(self, name: str, value: float, step: int, tokens: int, labels: Mapping[str, str]) -> None:
        self.metrics[name, labels["sae"], step] = value

    def log(self, level: str, message: str) -> None:
        self.logs.append(f"{level}: {message}")

    def should_stop(self) -> StopRequest | None:
        return self.request if self.trained >= self.stop_at_tokens else None
