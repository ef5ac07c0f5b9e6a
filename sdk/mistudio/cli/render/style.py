"""The few colours and shapes that all output shares."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from mistudio.states import JobState

_MARKS = {
    JobState.WAITING: ("·", "dim"),
    JobState.QUEUED: ("○", ""),
    JobState.RUNNING: ("●", "cyan"),
    JobState.PAUSING: ("◐", "yellow"),
    JobState.PAUSED: ("◐", "yellow"),
    JobState.CANCELLING: ("◌", "yellow"),
    JobState.SUCCEEDED: ("✓", "green"),
    JobState.FAILED: ("✗", "red"),
    JobState.CANCELLED: ("◌", "dim"),
}


def mark(state: JobState) -> Text:
    """Returns the sign of a state."""
    return Text(*_MARKS.get(state, ("?", "")))


def state_text(state: JobState) -> Text:
    """Returns sign and name of a state."""
    return Text.assemble(mark(state), " ", (state.lower(), _MARKS.get(state, ("", ""))[1]))


def table(*columns: str, title: str = "") -> Table:
    """Returns an empty table; a column written ">name" is aligned to the right, "#name" is never cut."""
    made = Table(
        box=box.SIMPLE_HEAD,
        header_style="dim",
        border_style="dim",
        pad_edge=False,
        show_edge=False,
        title=title or None,
    )
    made.title_justify = "left"
    for column in columns:
        name = column.lstrip(">#")
        made.add_column(name, justify="right" if column[:1] == ">" else "left", no_wrap=column[:1] in "#>")
    return made


def pairs() -> Table:
    """Returns an empty grid for names with values."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid
