"""The schedule table: which jobs the mesh submits by itself, and when."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from mistudio import v1
from mistudio_runtime.broker.names import PROBE
from mistudio_runtime.queues import QueueTable
from mistudio_runtime.recurrence import Recurrence

LABEL = "schedule"
"""The label of a job that names the schedule it comes from."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_FIELDS = ("description", "every", "time_zone", "kind", "parameters", "priority", "max_attempts", "labels")
_OF_JOB = ("priority", "max_attempts")


class ScheduleTableError(Exception):
    """The schedule table is wrong; the message lists everything that is."""


@dataclass(frozen=True)
class ScheduleRow:
    """One row of the table."""

    name: str
    description: str
    recurrence: Recurrence
    job: v1.JobRequest
    """What is submitted each time."""


ScheduleTable = dict[str, ScheduleRow]
"""Rows by name, in order."""


def load_schedules(queues: QueueTable, file: Path | None = None) -> ScheduleTable:
    """Reads the shipped table or `file`. Raises ScheduleTableError with all that is wrong."""
    try:
        text = (file or resources.files("mistudio_runtime") / "schedules.toml").read_text(encoding="utf-8")
        rows = tomllib.loads(text)["schedules"]
        names = [*rows.keys()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"there is no table {error}" if isinstance(error, KeyError) else error
        raise ScheduleTableError(f"the schedule table {file or 'schedules.toml'} cannot be read: {why}") from error
    problems: list[str] = []
    made = [_row(name, rows[name], queues, problems) for name in names]
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise ScheduleTableError(f"the schedule table {file or 'schedules.toml'} is wrong:\n{lines}")
    return {row.name: row for row in made}


def _row(name: str, row: object, queues: QueueTable, problems: list[str]) -> ScheduleRow:
    fields: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
    wrong = [*_wrong_shape(name, row)]
    recurrence = Recurrence(str(fields.get("every", "")), str(fields.get("time_zone", "")))
    job = v1.JobRequest()
    for check in (recurrence.check, lambda: _fill(job, name, fields, queues)):
        try:
            check()
        except (ValueError, TypeError) as error:
            wrong.append(str(error))
    problems += [f"{name}: {sentence}" for sentence in wrong]
    return ScheduleRow(name, str(fields.get("description", "")), recurrence, job)


def _wrong_shape(name: str, row: object) -> list[str]:
    if not isinstance(row, Mapping):
        return ["it is no table"]
    wrong = [f"it has no field {field!r}: {', '.join(_FIELDS)}" for field in row if field not in _FIELDS]
    if not _NAME.fullmatch(name) or name == PROBE:
        wrong.append('a name is lower-case letters, digits and "-", at most 64')
    return wrong


def _fill(job: v1.JobRequest, name: str, fields: Mapping[str, Any], queues: QueueTable) -> None:
    kind = fields.get("kind", "")
    if not any(kind in queue.job_kinds for queue in queues.queues):
        raise ValueError(f"there is no job kind {kind!r}")
    envelope = {field: fields[field] for field in _OF_JOB if field in fields}
    document = {**envelope, "spec": {kind: fields.get("parameters", {})}, "labels": fields.get("labels", {})}
    try:
        ParseDict(document, job)
    except ParseError as error:
        raise ValueError(f"its job cannot be read: {error}") from error
    job.labels[LABEL] = name
