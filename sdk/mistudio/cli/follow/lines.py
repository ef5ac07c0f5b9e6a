"""Events for scripts: as JSON lines, or not at all."""

from __future__ import annotations

from typing import Self

from mistudio import v1
from mistudio.cli.follow.board import Board
from mistudio.cli.session import Session


class SilentView:
    """Prints nothing; the board alone is kept."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, event: v1.JobEvent) -> None:
        """Takes one event."""
        self._board.apply(event)


class JsonView(SilentView):
    """Prints every event as one line of JSON."""

    def __init__(self, session: Session, board: Board) -> None:
        super().__init__(board)
        self._session = session

    def show(self, event: v1.JobEvent) -> None:
        """Shows one event."""
        super().show(event)
        self._session.line(event)
