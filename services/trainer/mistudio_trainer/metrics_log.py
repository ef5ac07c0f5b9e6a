"""What a training job measured so far, one JSON line a point, readable while the job writes."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from google.protobuf import json_format

from mistudio.v1 import MetricPoint

LOG_NAME = "metrics.jsonl"


class MetricsLog:
    """Appends points to a file that outlives the attempt; each is on disk for readers when `append` returns."""

    def __init__(self, path: Path) -> None:
        """Takes the file; it is made by `__enter__`."""
        self._path = path

    def __enter__(self) -> Self:
        _cut_torn_line(self._path)
        self._file = self._path.open("a", encoding="utf-8", buffering=1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, point: MetricPoint) -> None:
        """Writes a point."""
        self._file.write(json_format.MessageToJson(point, indent=None) + "\n")


def read_log(path: Path) -> list[MetricPoint]:
    """Reads the points by step, each place in each curve once. Raises FileNotFoundError.

    A line that is no point, such as the torn last one of a killed process, is left out. What an attempt measured again
    after it resumed stands in the log twice; the later one counts.
    """
    points: dict[tuple[str, int, tuple[tuple[str, str], ...]], MetricPoint] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            point = json_format.Parse(line, MetricPoint())
        except json_format.ParseError:
            continue
        points[point.name, point.step, tuple(sorted(point.labels.items()))] = point
    return sorted(points.values(), key=lambda point: point.step)


def _cut_torn_line(path: Path) -> None:
    """Ends the file at its last line end, so that the next point does not stick to half a line."""
    if path.exists():
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)
