"""What the events of followed jobs are shown to."""

from __future__ import annotations

from typing import Protocol, Self

from mistudio import v1


class View(Protocol):
    """Shows the events of one or more jobs. Used in a `with` block."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def show(self, event: v1.JobEvent) -> None:
        """Shows one event."""
        ...
