"""What the user looks at, and what keys mean. Draws nothing and calls nobody."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from mistudio import v1
from mistudio.cli.top import keys
from mistudio.cli.top.snapshot import Snapshot

_MESSAGE_SECONDS = 5.0
_ENDED_SECONDS = 15.0
_PAGE = 10


class Mode(Enum):
    """What fills the screen."""

    LIST = auto()
    JOB = auto()
    HELP = auto()


@dataclass(frozen=True)
class Quit:
    """The user wants to leave."""


@dataclass(frozen=True)
class Control:
    """The user wants something of a job."""

    verb: str
    """ "cancel", "pause" or "resume"."""
    job_id: str
    """The job."""


Wish = Quit | Control
_VERBS = {"p": "pause", "r": "resume"}


class View:
    """The state of the screen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.mode = Mode.LIST
        self.selected = ""
        """The selected job's id; empty if there is none."""
        self.confirming: Control | None = None
        """What is to be confirmed with y or n."""
        self.frozen = False
        """Whether the screen stands still."""
        self.scrolled = 0
        """So many lines of the job's log are below the screen."""
        self.jobs: list[v1.Job] = []
        """The jobs in the order of their lines."""
        self._message: tuple[str, float] = ("", 0.0)

    @property
    def message(self) -> str:
        """What is to be told below; empty after a while."""
        text, until = self._message
        return text if self._clock() < until else ""

    @property
    def job(self) -> v1.Job | None:
        """The selected job."""
        return next((job for job in self.jobs if job.id == self.selected), None)

    @property
    def place(self) -> int:
        """The line of the selected job; the first if it has none."""
        return next((place for place, job in enumerate(self.jobs) if job.id == self.selected), 0)

    def show(self, snapshot: Snapshot) -> None:
        """Takes a new snapshot; the selection stays on its job, or where that was."""
        place = self.place
        looked_at = self.selected if self.mode is Mode.JOB else ""
        ended = [job for job in snapshot.ended if job.id == looked_at or _is_recent(job, snapshot)]
        self.jobs = [*snapshot.unfinished, *ended]
        if self.jobs and self.job is None and not looked_at:
            self.selected = self.jobs[min(place, len(self.jobs) - 1)].id

    def tell(self, message: str) -> None:
        """Shows a message for a while."""
        self._message = message, self._clock() + _MESSAGE_SECONDS

    def press(self, key: str) -> Wish | None:
        """Takes a key; returns what the user wants that is more than to look."""
        if self.confirming is not None:
            return self._confirm(key)
        if key == "q":
            return Quit()
        if self.mode is Mode.HELP or key in (keys.ESCAPE, "?"):
            self.mode = Mode.HELP if key == "?" and self.mode is not Mode.HELP else Mode.LIST
        elif key == " ":
            self.frozen = not self.frozen
        elif key == "c" and self.selected:
            self.confirming = Control("cancel", self.selected)
        elif key in _VERBS and self.selected:
            return Control(_VERBS[key], self.selected)
        elif key == keys.ENTER and self.selected:
            self.mode, self.scrolled = Mode.JOB, 0
        else:
            self._move(key)
        return None

    def _confirm(self, key: str) -> Wish | None:
        wish, self.confirming = self.confirming, None
        return wish if key in ("y", "Y") else None

    def _move(self, key: str) -> None:
        step = {keys.UP: -1, "k": -1, keys.DOWN: 1, "j": 1, keys.PAGE_UP: -_PAGE, keys.PAGE_DOWN: _PAGE}.get(key, 0)
        if self.mode is Mode.JOB:
            self.scrolled = max(0, self.scrolled - step)
        elif self.jobs and (step or key in (keys.HOME, keys.END)):
            ends = {keys.HOME: 0, keys.END: len(self.jobs) - 1}
            place = ends.get(key, self.place + step)
            self.selected = self.jobs[max(0, min(place, len(self.jobs) - 1))].id


def window(count: int, place: int, height: int) -> range:
    """Returns which of `count` lines are shown on `height` lines so that the one at `place` is among them."""
    first = max(0, min(place - height // 2, count - height))
    return range(first, min(count, first + height))


def _is_recent(job: v1.Job, snapshot: Snapshot) -> bool:
    return snapshot.time.timestamp() - job.end_time.ToNanoseconds() / 1e9 < _ENDED_SECONDS
