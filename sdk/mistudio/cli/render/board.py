"""The board of followed jobs: one line each."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from mistudio.cli.follow.board import Board, Row
from mistudio.cli.render.style import mark
from mistudio.cli.render.units import number, seconds_between, span
from mistudio.states import JobState

_BAR = 28
_TELLING = ("loss", "explained_variance", "l0")
"""Metrics worth a place on the line, the best first."""
_SPINNERS: dict[str, Spinner] = {}  # a spinner keeps its own time, so each job keeps its own


def describe(row: Row) -> str:
    """Returns in a few words how far a job is, or how it ended."""
    if row.state is JobState.FAILED:
        return row.job.failure.message or row.job.failure.reason
    if row.state is JobState.SUCCEEDED:
        took = seconds_between(row.job.start_time, row.job.end_time)
        return " ".join([*row.job.artifact_ids, f"in {span(took)}" if took > 0 else ""]).strip()
    if row.state is JobState.RUNNING and row.job.progress.stage:
        return _stage(row)
    return "" if row.state is JobState.RUNNING else row.state.lower()


def render_board(board: Board) -> RenderableType:
    """Returns one line a job: sign, name, bar, share, stage with rate and time left; what is wrong goes below."""
    grid = Table.grid(padding=(0, 2))
    for _ in range(5):
        grid.add_column(no_wrap=True, overflow="ellipsis")
    for row in board.rows.values():
        grid.add_row(_sign(row), Text(row.name), _bar(row), _share(row), Text(describe(row), style="dim"))
    helped = [row for row in board.rows.values() if _wants_help(row, board)]
    notes = [Text(f"   {row.name}: {row.diagnosis}", style="yellow") for row in helped]
    return Group(grid, *notes)


def render_end(board: Board) -> RenderableType:
    """Returns how the jobs ended; a failed one with its reason and the command that runs it again."""
    lines: list[Text] = []
    for row in board.rows.values():
        lines.append(Text.assemble(mark(row.state), f" {row.name}  ", (describe(row), "dim")))
        if row.state is JobState.FAILED:
            lines.append(
                Text(f"  {row.job.failure.reason}; run it again: mistudio jobs retry {row.job.id}", style="cyan")
            )
    return Group(*lines)


def _wants_help(row: Row, board: Board) -> bool:
    if not row.diagnosis or row.state.is_over:
        return False
    return row.state is not JobState.WAITING or not board.rows.keys() & set(row.job.depends_on)


def _stage(row: Row) -> str:
    progress = row.job.progress
    total = f"/{number(progress.total)}" if progress.total else ""
    parts = [progress.stage]
    if progress.done or progress.total:
        parts.append(f"{number(progress.done)}{total} {progress.unit}".rstrip())
    if progress.rate > 0:
        parts.append(f"{number(progress.rate)}/s")
    if progress.HasField("eta"):
        parts.append(f"{span(progress.eta.ToTimedelta().total_seconds())} left")
    measured = [f"{name.replace('_', ' ')} {row.metrics[name]:.3g}" for name in _TELLING if name in row.metrics]
    return "  ".join([*parts, *measured[:2]])


def _sign(row: Row) -> RenderableType:
    if row.state is JobState.RUNNING:
        return _SPINNERS.setdefault(row.job.id, Spinner("dots", style="cyan"))
    return mark(row.state)


def _bar(row: Row) -> RenderableType:
    done = 1.0 if row.state is JobState.SUCCEEDED else row.job.progress.fraction
    return ProgressBar(total=1.0, completed=done, width=_BAR, complete_style="cyan", finished_style="green")


def _share(row: Row) -> Text:
    if row.state is JobState.SUCCEEDED:
        return Text("100%")
    started = row.job.progress.fraction > 0
    return Text(f"{row.job.progress.fraction:4.0%}" if started else "", justify="right")
