"""Schedules."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.style import table
from mistudio.cli.render.units import ago, ahead


def render_schedules(schedules: Sequence[v1.Schedule]) -> RenderableType:
    """Returns a table of schedules; what went wrong the last time of one stands below."""
    if not schedules:
        return Text("no schedules; MISTUDIO_SCHEDULES_FILE names a table with none", style="yellow")
    made = table("#schedule", "every", "job", "#next", "#last", "#last job")
    for schedule in schedules:
        made.add_row(
            Text.assemble(schedule.name, (" paused", "yellow") if schedule.paused else ""),
            f"{schedule.every} {schedule.time_zone}".strip(),
            schedule.job.spec.WhichOneof("kind") or "",
            ahead(schedule.next_time),
            Text(ago(schedule.last_time) or "never", style="dim"),
            schedule.last_job_id,
        )
    notes = [Text(f"{one.name}: {one.last_problem}", style="yellow") for one in schedules if one.last_problem]
    return Group(made, *notes)
