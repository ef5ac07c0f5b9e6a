"""Everything that one picture of the screen shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mistudio.cli.top.snapshot import Snapshot
from mistudio.cli.top.tally import Tally
from mistudio.cli.top.view import View
from mistudio.job_log import JobLogLine


@dataclass(frozen=True)
class Scene:
    """What is known, and what of it is looked at."""

    gateway: str
    """Address of the gateway."""
    snapshot: Snapshot
    """The mesh."""
    tally: Tally
    """What has ended since."""
    view: View
    """What is looked at."""
    now: datetime
    """The time here."""
    problem: str = ""
    """Why the snapshot is old; empty if it is not."""
    log: Sequence[JobLogLine] = ()
    """The log of the job that is looked at."""
