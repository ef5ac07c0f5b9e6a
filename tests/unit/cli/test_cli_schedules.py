"""`mistudio schedules` as people see it."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from mistudio import v1
from mistudio.cli.render.schedules import render_schedules
from mistudio.cli.render.units import ahead
from mistudio.cli.session import as_json, json_text
from mistudio.cli.top.list_page import missing
from mistudio.cli.top.snapshot import Snapshot

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROBLEM = "At 2026-01-01 02:17:00 UTC no job was submitted: job-1 of the time before is still QUEUED."


def at(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


def schedules() -> list[v1.Schedule]:
    job = v1.JobRequest(spec=v1.JobSpec(collect_garbage=v1.CollectGarbage()))
    soon = at(datetime.now(UTC) + timedelta(hours=2, minutes=30))
    return [
        v1.Schedule(name="collect-garbage", every="0 17 2 * * *", job=job, next_time=soon),
        v1.Schedule(
            name="nightly", every="0 30 3 * * *", time_zone="Europe/Berlin", job=job, paused=True, last_problem=PROBLEM
        ),
    ]


def shown(found: list[v1.Schedule]) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(render_schedules(found))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_table_with_what_went_wrong_below() -> None:
    header, _, first, second, note = shown(schedules()).splitlines()
    assert header.split() == ["schedule", "every", "job", "next", "last", "last", "job"]
    assert " ".join(first.split()) == "collect-garbage 0 17 2 * * * collect_garbage in 2h 30m never"
    assert " ".join(second.split()) == "nightly paused 0 30 3 * * * Europe/Berlin collect_garbage never"
    assert note == f"nightly: {PROBLEM}"
    assert "no schedules" in shown([])


def test_for_scripts_it_is_json() -> None:
    document = json.loads(json_text(as_json({"schedules": schedules()})))
    assert document["schedules"][1]["paused"] is True
    assert document["schedules"][0]["job"]["spec"] == {"collect_garbage": {"dry_run": False}}


@pytest.mark.parametrize(("seconds", "text"), [(9000, "in 2h 30m"), (0.5, "in 0.5s"), (0, "now"), (-5, "now")])
def test_how_long_until_then(seconds: float, text: str) -> None:
    assert ahead(at(NOW + timedelta(seconds=seconds)), NOW) == text
    assert not ahead(Timestamp(), NOW)


def test_top_tells_of_a_schedule_that_submitted_no_job() -> None:
    assert missing(Snapshot(schedules=schedules())).plain == f"Schedule nightly: {PROBLEM}"
