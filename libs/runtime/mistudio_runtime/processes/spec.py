"""What is to run, and who hears of it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class ProcessStartError(Exception):
    """A process could not be started or ended before it was ready; the message says how and quotes its last lines."""


@dataclass(frozen=True)
class ProcessSpec:
    """One supervised process."""

    name: str
    """Unique within its supervisor; names the log as well."""
    argv: tuple[str, ...]
    log: Path
    """Gets all output; rotated when the supervisor starts."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables beside those of the supervisor."""
    orphan_grace_seconds: float = 10.0
    """How long the process may take to end after its supervisor was killed."""
    pass_fds: tuple[int, ...] = ()
    """Descriptors that guard and process inherit: a lock held so outlives a killed supervisor."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a process is started again."""

    first_seconds: float = 0.5
    factor: float = 2.0
    limit_seconds: float = 30.0
    healthy_after_seconds: float = 30.0
    """A process that ran this long has put its earlier failures behind it."""

    def delay(self, failures: int) -> float:
        """Returns the seconds to wait after so many failures in a row (at least 1)."""
        # The exponent is bounded: a float overflows long before a supervisor gives up.
        return float(min(self.first_seconds * self.factor ** min(failures - 1, 64), self.limit_seconds))


class ProcessListener:
    """Hears what happens to processes. Does nothing with it: subclasses take what they need."""

    def line(self, name: str, text: str) -> None:
        """A process wrote a line."""

    def event(self, name: str, text: str) -> None:
        """A process ended, is started again or had to be killed, in one sentence."""

    def started(self, name: str, pid: int) -> None:
        """A process runs under a new id."""


def describe_exit(code: int) -> str:
    """Says in words how a process ended: exit code, or minus the signal."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
