"""Report artifacts: what a job of the curator found, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from mistudio_runtime.jobs import JobContext

REPORT_FILE = "report.json"


def commit_report(
    context: JobContext, spec: Message, *, summary: Mapping[str, Any], report: Any, parents: Sequence[str] = ()
) -> list[str]:
    """Commits `report` as report.json with a short `summary` in the manifest; returns the artifact's id in a list."""
    parameters = MessageToDict(spec, preserving_proto_field_name=True)
    with context.draft("report", parents=[*parents], parameters=parameters) as draft:
        (draft.path / REPORT_FILE).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        draft.summary.update(summary)
        return [draft.commit()]
