"""One entry of a service's log."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LEVELS = ("debug", "info", "warning", "error", "critical")
"""Levels of entries, the least important first."""

_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\S+) ")
_OF_BROKER = re.compile(r"\[\d+\] (\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?) \[(\w{3})\] ")
_BROKER_LEVELS = {"TRC": "debug", "DBG": "debug", "INF": "info", "WRN": "warning", "ERR": "error", "FTL": "critical"}


@dataclass(frozen=True)
class LogEntry:
    """A line of a log, or lines in a row that tell no time, such as a traceback."""

    service: str
    """The log's name."""
    text: str
    """As it was written."""
    time: datetime | None = None
    """When; None if it does not say."""
    level: str = ""
    """One of `LEVELS`; empty if it does not say."""
    record: dict[str, Any] | None = None
    """Its fields, if it is structured."""
    message: str = ""
    """What it says beside time and level, where it tells these and is not structured."""

    def matches(self, level: str, word: str) -> bool:
        """Whether it is as important as `level` and holds `word`; what tells no level may be a traceback."""
        important = not self.level or LEVELS.index(self.level) >= LEVELS.index(level)
        return important and word in self.text


def parse_entry(service: str, line: str) -> LogEntry:
    """Reads one line: JSON of a service, text of the broker or of the supervisor, or anything else."""
    if (record := _json(line)) is not None:
        level = str(record.get("level", ""))
        return LogEntry(service, line, _time(str(record.get("timestamp"))), level if level in LEVELS else "", record)
    if found := _OF_BROKER.match(line):
        time = _time(found[1].replace("/", "-"))
        level = _BROKER_LEVELS.get(found[2], "")
        return LogEntry(service, line, time, level, message=line[found.end() :])
    if found := _STAMPED.match(line):
        return LogEntry(service, line, _time(found[1]), "info", message=line[found.end() :])
    return LogEntry(service, line)


def _json(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone()  # the broker writes the time of this machine's zone
    except ValueError:
        return None
