"""For how long this gateway has known of attempts."""

from __future__ import annotations

import time
from collections.abc import Iterable

from mistudio import v1
from mistudio_gateway.state_machine import current_attempt


class AttemptAges:
    """Ages by this gateway's own monotonic clock: the times in a record are by the clock of whichever wrote it."""

    def __init__(self, lease_seconds: float) -> None:
        """Takes for how long an attempt is young: so long its worker may not have told yet that it runs it."""
        self._lease = lease_seconds
        self._known: dict[tuple[str, int], float] = {}

    def is_young(self, job: v1.Job) -> bool:
        """Tells whether the job's current attempt has just begun; one that is new to this gateway has."""
        now = time.monotonic()
        return now - self._known.setdefault((job.id, current_attempt(job)), now) < self._lease

    def keep_only(self, active: Iterable[v1.Job]) -> None:
        """Learns of all active jobs' attempts, and forgets all others."""
        now = time.monotonic()
        attempts = [(job.id, current_attempt(job)) for job in active]
        self._known = {attempt: self._known.get(attempt, now) for attempt in attempts}
