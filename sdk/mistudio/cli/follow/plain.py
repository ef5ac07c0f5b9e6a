"""Lines where there is no terminal: every change, but progress only now and then."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.text import Text

from mistudio import v1
from mistudio.cli.follow.board import Board, Row
from mistudio.cli.render.board import describe
from mistudio.cli.render.logs import render_log_line
from mistudio.states import JobState

_STEP = 0.1
"""Progress is told again after so much of the whole."""


class PlainView:
    """Prints a line for each thing worth telling."""

    def __init__(self, console: Console, board: Board) -> None:
        self._console = console
        self._board = board
        self._told: dict[str, tuple[str, int]] = {}
        self._diagnoses: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, event: v1.JobEvent) -> None:
        """Shows one event."""
        row = self._board.apply(event)
        match event.WhichOneof("event"):
            case "job":
                told = describe(row)
                self._line(row, f"{row.state.lower()}  {'' if told == row.state.lower() else told}".rstrip())
            case "progress":
                self._progress(row)
            case "log" if self._board.tells(event.log):
                self._line(row, render_log_line(event.log))
        self._diagnosis(row)

    def _diagnosis(self, row: Row) -> None:
        # What a job waits for changes with each step of its parents, and is told once.
        news = row.state if row.state is JobState.WAITING else row.diagnosis
        if row.diagnosis and self._diagnoses.get(row.job.id) != news:
            self._line(row, row.diagnosis)
            self._diagnoses[row.job.id] = news

    def _progress(self, row: Row) -> None:
        told = row.job.progress.stage, int(row.job.progress.fraction / _STEP)
        if self._told.get(row.job.id) != told:
            self._told[row.job.id] = told
            self._line(row, f"{row.job.progress.fraction:4.0%}  {describe(row)}")

    def _line(self, row: Row, what: str | Text) -> None:
        self._console.print(Text.assemble(f"{row.job.id}  {row.name}  ", what), soft_wrap=True)
