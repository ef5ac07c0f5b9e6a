"""What came to a log of metrics since one looked last."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import json_format

from mistudio.v1 import MetricPoint


class MetricsTail:
    """Reads a growing log from its beginning, each line once."""

    def __init__(self, path: Path) -> None:
        """Takes the log, which need not be there yet."""
        self._path = path
        self._offset = 0

    def read(self) -> list[MetricPoint]:
        """Returns the points of the lines that ended since the last call; a line that is no point is left out."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            lines = file.read().splitlines(keepends=True)
        points: list[MetricPoint] = []
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._offset += len(line)
            try:
                points.append(json_format.Parse(line, MetricPoint()))
            except (json_format.ParseError, UnicodeDecodeError):
                continue
        return points
