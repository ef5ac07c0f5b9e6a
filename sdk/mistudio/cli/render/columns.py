"""Tables of one line a row that give up columns where there is no room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

Row = TypeVar("Row")
GAP = 2


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column."""

    name: str
    """What stands above it."""
    width: int
    """Characters that it takes; what is longer is cut."""
    show: Callable[[Row], RenderableType]
    """A row's cell."""
    rank: int = 0
    """The higher it is, the sooner it is given up; 0 stays."""
    right: bool = False
    """Whether it is aligned to the right."""
    stretches: bool = False
    """Whether it takes what room is left."""


def fitting(columns: Sequence[Column[Row]], width: int) -> list[Column[Row]]:
    """Returns the columns that there is room for, in their order."""
    kept = list(columns)
    while needed(kept) > width and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    return kept


def needed(columns: Sequence[Column[Row]]) -> int:
    """Returns the characters that columns take beside each other."""
    return sum(column.width + GAP for column in columns) - GAP


def one_line_rows(columns: Sequence[Column[Row]], rows: Sequence[Row], width: int) -> Table:
    """Returns a table with a heading and a line for each row, no wider than `width`."""
    kept = fitting(columns, width)
    room = max(0, width - needed(kept))
    made = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
    for column in kept:
        made.add_column(
            column.name,
            width=column.width + (room if column.stretches else 0),
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
        room = 0 if column.stretches else room
    for row in rows:
        made.add_row(*(_cell(column.show(row)) for column in kept))
    return made


def _cell(shown: RenderableType) -> RenderableType:
    return Text(shown) if isinstance(shown, str) else shown  # a square bracket in a name is no markup
