"""Log lines."""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text

from mistudio import v1

_STYLES = {"debug": "dim", "info": "", "warning": "yellow", "error": "red", "critical": "bold red"}
_KNOWN = ("timestamp", "level", "event", "logger", "exception")


def render_log_line(line: v1.LogLine) -> Text:
    """Returns a line that a job logged."""
    return Text(line.message, style=_STYLES.get(line.level, ""))


def render_record(text: str) -> Text:
    """Returns one line of a service's log: JSON made readable, everything else as it is."""
    try:
        record: Any = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        return Text(text)
    level = str(record.get("level", "info"))
    fields = "".join(f"  {key}={value}" for key, value in record.items() if key not in _KNOWN)
    shown = Text.assemble(
        (str(record.get("timestamp", ""))[11:19] + " ", "dim"),
        (f"{level:<8}", _STYLES.get(level, "")),
        str(record.get("event", "")),
        (fields, "dim"),
    )
    if record.get("exception"):
        shown.append(f"\n{record['exception']}", style="red")
    return shown
