"""Why jobs do not run now, from all that a gateway knows."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from mistudio import v1
from mistudio_gateway.diagnosis import Slots, Surroundings, paused, queued, unserved, unstarted
from mistudio_gateway.expected_start import Outlook
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.queues.pauses import PauseRecord
from mistudio_gateway.queues.standing import Standings
from mistudio_gateway.worker_registry import WorkerRegistry, slots_of
from mistudio_runtime.queues import QueueTable

_OUTLOOK_SECONDS = 0.25
_SLOTS_SECONDS = 0.05
"""So long an outlook serves, and a look at the workers: under load there is one for many submissions."""
WaitsForDevice = Callable[[v1.Job], str]
"""A queued job to why it waits for a device, in a sentence with what helps; empty if it does not."""


class Diagnoses:
    """Makes the sentence of a job that does not run."""

    def __init__(  # noqa: PLR0917 - what a diagnosis looks at
        self,
        table: QueueTable,
        ledger: Ledger,
        registry: WorkerRegistry,
        standings: Standings,
        pauses: PauseRecord,
        waits_for_device: WaitsForDevice = lambda _: "",
    ) -> None:
        """Takes what a diagnosis looks at."""
        self._table = table
        self._ledger = ledger
        self._registry = registry
        self._standings = standings
        self.pauses = pauses
        """The paused queues."""
        self.waits_for_device = waits_for_device
        """Why a queued job waits for a device."""
        self._slots: dict[str, tuple[float, Slots | None]] = {}
        self._outlooks: dict[str, tuple[float, Outlook]] = {}

    def of(self, job: v1.Job) -> str:
        """Returns why a job does not run now; empty if it runs, is about to, or is over."""
        if job.queue not in self._table.names:
            return f"Its queue {job.queue} is no longer in the queue table: put it back, or cancel the job."
        if job.state != v1.JOB_STATE_QUEUED:
            return unstarted(job, self._ledger.mirrored)
        standing = self._standings.of(job.queue)
        ahead = standing.ahead(job.id, job.priority)
        around = Surroundings(
            queue=self._table.queue(job.queue),
            pause=self.pauses.find(job.queue),
            slots=self._slots_for(job.queue),
            ahead=ahead,
            start=lambda: self.start(job.queue, ahead),
            device=self.waits_for_device(job),
        )
        return queued(job, around, utc_now())

    def of_queue(self, queue: str) -> str:
        """Returns why a queue hands out no jobs; empty if it does."""
        if pause := self.pauses.find(queue):
            return paused(queue, pause)
        return "" if self._registry.serving(queue) else unserved(self._table.queue(queue))

    def _slots_for(self, queue: str) -> Slots | None:
        made, slots = self._slots.get(queue, (-_SLOTS_SECONDS, None))
        if time.monotonic() - made >= _SLOTS_SECONDS:
            slots = Slots.of(queue, self._registry.serving(queue))
            self._slots[queue] = time.monotonic(), slots
        return slots

    def start(self, queue: str, ahead: int) -> timedelta | None:
        """Returns the time until a job of a queue starts that has so many before it; None if that is unknown."""
        made, outlook = self._outlooks.get(queue, (0.0, None))
        if outlook is None or time.monotonic() - made > _OUTLOOK_SECONDS:
            outlook = self._outlook(queue)
            self._outlooks[queue] = time.monotonic(), outlook
        return outlook.wait(ahead)

    def _outlook(self, queue: str) -> Outlook:
        standing = self._standings.of(queue)
        slots = sum(slots_of(status, queue) for status in self._registry.serving(queue))
        return Outlook(
            slots,
            standing.active.values(),
            queued=(place.kind for place in standing.in_order()),
            kinds=standing.kinds,
            typical=self._standings.durations.typical,
            now=utc_now(),
        )
