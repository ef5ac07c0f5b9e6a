"""Progress bars on a terminal."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mistudio import v1
from mistudio.cli.follow.board import Board
from mistudio.cli.render.board import render_board
from mistudio.cli.render.logs import render_log_line


class LiveView:
    """One line a job, redrawn in place; what jobs log scrolls by above."""

    def __init__(self, console: Console, board: Board) -> None:
        self._board = board
        self._live = Live(console=console, get_renderable=lambda: render_board(board), refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, event: v1.JobEvent) -> None:
        """Shows one event."""
        row = self._board.apply(event)
        if event.WhichOneof("event") == "log" and self._board.tells(event.log):
            self._live.console.print(Text.assemble((f"{row.name} ", "dim"), render_log_line(event.log)))
