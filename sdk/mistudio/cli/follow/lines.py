"""Events as JSON lines, for scripts."""

from __future__ import annotations

from typing import Self

from mistudio import v1
from mistudio.cli.follow.board import Board
from mistudio.cli.session import Session


class JsonView:
    """Prints every event as one line of JSON."""

    def __init__(self, session: Session, board: Board) -> None:
        self._session = session
        self._board = board

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, event: v1.JobEvent) -> None:
        """Shows one event."""
        self._board.apply(event)
        self._session.line(event)
