"""Log lines."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from mistudio import v1
from mistudio.cli.stack.log_entry import LogEntry
from mistudio.job_log import JobLogLine

_STYLES = {"debug": "dim", "info": "", "warning": "yellow", "error": "red", "critical": "bold red"}
_KNOWN = ("timestamp", "level", "event", "logger", "exception", "service", "pid")
"""What is told otherwise, or what only a machine wants to know."""
_LONGEST = 16 * 1024
"""Characters of a line that are shown."""


def render_log_line(line: v1.LogLine) -> Text:
    """Returns a line that a job logged."""
    return Text(line.message, style=_STYLES.get(line.level, ""))


def render_job_line(line: JobLogLine) -> Text:
    """Returns a line of a job's log: when, how important, which attempt, what; changes of state stand out."""
    style = _STYLES.get(line.level, "") or ("bold" if line.state else "")
    return Text.assemble(
        (f"{local_time(line.time)} ", "dim"),
        (f"{line.level:<8}", _STYLES.get(line.level, "")),
        (f"{f'#{line.attempt} {line.worker}  ' if line.attempt else ''}", "dim"),
        (line.message, style),
    )


def local_time(time: datetime) -> str:
    """Returns the time of day here; with the date unless that is today."""
    local = time.astimezone()
    today = local.date() == datetime.now(local.tzinfo).date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def render_entry(entry: LogEntry) -> Text:
    """Returns an entry of a service's log: a record made readable, everything else as it is."""
    if not entry.level:
        return Text(_cut(entry.text))
    record = entry.record or {"event": entry.message}
    fields = "".join(f"  {key}={value}" for key, value in record.items() if key not in _KNOWN and value != "")
    shown = Text.assemble(
        (f"{local_time(entry.time)} " if entry.time else "", "dim"),
        (f"{entry.level:<8}", _STYLES.get(entry.level, "")),
        _cut(str(record.get("event", ""))),
        (_cut(fields), "dim"),
    )
    if record.get("exception"):
        shown.append(_cut(f"\n{record['exception']}"), style="red")
    return shown


def _cut(text: str) -> str:
    lines = text.split("\n")
    return "\n".join(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…" for line in lines)
