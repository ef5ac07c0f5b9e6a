"""The page of one job: how it fares, and what it logs."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mistudio import v1
from mistudio.cli.follow.board import Row
from mistudio.cli.render.board import describe
from mistudio.cli.render.logs import render_job_line
from mistudio.cli.render.style import state_text
from mistudio.cli.render.units import ago
from mistudio.cli.top.drawer import Drawer, Lines, one_line
from mistudio.cli.top.scene import Scene
from mistudio.states import JobState

_BAR = 20


def job_page(scene: Scene, draw: Drawer, room: int) -> Lines:
    """Returns the page, for `room` lines: at most half of them for the facts, the rest for the log's last lines."""
    job, log = scene.view.job, scene.log
    about = _facts(job) if job else Text(f"{scene.view.selected} is no longer listed", style="dim")
    facts = [*draw(about)[: max(3, room // 2)], draw.blank]
    height = max(0, room - len(facts))
    end = max(min(height, len(log)), len(log) - scene.view.scrolled)
    shown = log[max(0, end - height) : end]
    lines = [draw(one_line(render_job_line(line)))[0] for line in shown]
    return [*facts, *(lines or draw(Text("nothing logged yet", style="dim")))]


def _facts(job: v1.Job) -> RenderableType:
    first = Text.assemble((job.id, "bold"), f"  {job.kind}  ", state_text(JobState.of(job)))
    tries = f", attempt {len(job.attempts)} of {job.max_attempts} on {job.attempts[-1].worker}" if job.attempts else ""
    second = Text(f"{job.queue}, priority {job.priority}{tries}, submitted {ago(job.create_time)}", style="dim")
    return Group(first, second, *_progress(job), *_trouble(job))


def _progress(job: v1.Job) -> list[RenderableType]:
    if JobState.of(job) is not JobState.RUNNING:
        return []
    grid = Table.grid(padding=(0, 2, 0, 0))
    for width in (_BAR, 4):
        grid.add_column(width=width)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    bar = ProgressBar(total=1.0, completed=job.progress.fraction, width=_BAR, complete_style="cyan")
    grid.add_row(bar, f"{job.progress.fraction:.0%}", Text(describe(Row(job, job.id))))
    return [grid]


def _trouble(job: v1.Job) -> list[RenderableType]:
    failure = f"{job.failure.reason}: {job.failure.message}" if job.failure.reason else ""
    return [Text(text, style=style) for text, style in ((job.diagnosis, "yellow"), (failure, "red")) if text]
