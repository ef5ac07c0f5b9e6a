"""What stands above and below: where this is, how it goes, which keys there are."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mistudio.cli.render.logs import local_time
from mistudio.cli.render.style import mark
from mistudio.cli.top.drawer import one_line
from mistudio.cli.top.scene import Scene
from mistudio.cli.top.snapshot import Snapshot
from mistudio.cli.top.tally import Tally
from mistudio.cli.top.view import Mode
from mistudio.states import JobState

KEYS = {
    "q": "quit",
    "↑↓": "select",
    "⏎": "log",
    "c": "cancel",
    "p": "pause",
    "r": "resume",
    "space": "freeze",
    "?": "help",
}
JOB_KEYS = {"Esc": "back", "q": "quit", "↑↓": "scroll", "c": "cancel", "p": "pause", "r": "resume", "space": "freeze"}
HELP = """
  up, down, k, j    select a job; in a job's log: scroll
  Enter             how the selected job fares and what it logs; Esc goes back
  c                 cancel the selected job, after y
  p, r              pause, resume the selected job
  space             let the screen stand still, and go on
  q or Ctrl-C       quit; the mesh and its jobs go on

  A job's line stays for a moment after the job has ended.

  Without the screen: mistudio queues, mistudio workers, mistudio jobs list,
  mistudio jobs logs JOB
"""
_ENDED = {
    JobState.SUCCEEDED: ("succeeded", "green"),
    JobState.FAILED: ("failed", "red"),
    JobState.CANCELLED: ("cancelled", ""),
}
_WIDE = 110
"""From so many characters on there is room for words."""


def header(scene: Scene, width: int) -> RenderableType:
    """Returns two lines: the mesh in figures with the time, and what is the matter, if anything is."""
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    line = Text.assemble(summary(scene.gateway, scene.snapshot), "  ", _ended(scene.tally, in_words=width >= _WIDE))
    grid.add_row(line, Text(f"{scene.now:%H:%M:%S}"))
    return Group(grid, _banner(scene))


def summary(gateway: str, snapshot: Snapshot) -> Text:
    """Returns the mesh in figures."""
    workers = len(snapshot.workers)
    return Text.assemble(
        ("mistudio", "bold"),
        f" {gateway}  {workers} worker{'' if workers == 1 else 's'}",
        f"  {snapshot.queued} queued  {snapshot.running} running",
    )


def _ended(tally: Tally, *, in_words: bool) -> Text:
    parts: list[Text] = []
    for state, (word, style) in _ENDED.items():
        count = tally.counts[state]
        parts.append(Text(f"{count} {word}", style) if in_words else Text(f"{mark(state).plain} {count}", style))
    since = Text(f"since {tally.since.astimezone():%H:%M}", style="dim")
    return Text("  ").join([*parts, since] if in_words else parts)


def footer(scene: Scene) -> Text:
    """Returns one line: a question, a message, or the keys."""
    wish = scene.view.confirming
    if wish is not None:
        return one_line(Text(f"{wish.verb} {wish.job_id}? y/n", style="bold black on yellow"))
    if scene.view.message:
        return one_line(Text(scene.view.message, style="bold"))
    keys = {Mode.LIST: KEYS, Mode.JOB: JOB_KEYS, Mode.HELP: {"Esc": "back", "q": "quit"}}[scene.view.mode]
    parts = [part for key, what in keys.items() for part in ((key, "bold"), (f" {what}  ", "dim"))]
    return one_line(Text.assemble(*parts))


def _banner(scene: Scene) -> Text:
    parts = [(" frozen; space goes on ", "black on cyan")] if scene.view.frozen else []
    parts += [(f" {scene.problem} ", "black on yellow")] if scene.problem else []
    if parts and scene.snapshot.queues:
        parts.append((f"  as of {local_time(scene.snapshot.time)}", "dim"))
    return one_line(Text.assemble(*parts))
