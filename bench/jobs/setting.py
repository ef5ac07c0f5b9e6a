"""What the command line asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """How much is measured, and where."""

    home: Path
    """Everything that is written lies in new folders below this one, removed at the end."""
    jobs: int = 5_000
    """Jobs in each round of a rate; four times as many in one of bulk calls."""
    rounds: int = 5
    """Rounds of each rate, ours and the peer's in turn; medians are reported."""
    samples: int = 100
    """Single jobs of each latency; a quarter of it of cancels, which take longest."""
    clients: int = 1
    """Client processes of each side in a rate."""
    in_flight: int = 64
    """Unary calls of one client process that are under way at a time."""
    a_call: int = 500
    """Jobs in one bulk call."""
    slots: int = 64
    """Jobs that our worker runs at a time in a rate."""
    backlog: int = 5_000
    """Queued jobs that a job of high priority overtakes."""
    ack_wait_seconds: float = 10.0
    """After so long without a sign of life our worker's job runs again."""
    peer_patience_seconds: float = 30.0
    """How long the peer gets to run a killed worker's task again."""
    window_seconds: float = 10.0
    """How long events are counted, once watchers or simulated workers are there."""
    watchers: int = 500
    """Clients that follow one job."""
    workers: int = 2_000
    """Simulated workers of one gateway to begin with."""
    ledger: int = 100_000
    """Finished jobs in the ledger of a gateway that is started."""
    peer: bool = True
    """Whether Celery is measured too."""
    profile: bool = False
    """Whether gateway and worker run under a profiler, which slows them."""
