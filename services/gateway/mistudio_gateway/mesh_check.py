"""Gathers what is known of the mesh and has it judged, check by check."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mistudio import v1
from mistudio_gateway.checks.clocks import check_clocks
from mistudio_gateway.checks.devices import check_devices
from mistudio_gateway.checks.disks import check_disks
from mistudio_gateway.checks.jobs import check_jobs
from mistudio_gateway.checks.queues import Waiting, check_messages, check_queues, waiting_by_queue
from mistudio_gateway.checks.schedules import cannot_look, check_schedules
from mistudio_gateway.checks.streams import check_streams
from mistudio_gateway.checks.versions import check_versions
from mistudio_gateway.checks.workers import check_workers
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.queues.diagnoses import Diagnoses
from mistudio_gateway.schedules.plan import Schedules
from mistudio_gateway.sessions import Sessions
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.broker.discovery import discover_broker
from mistudio_runtime.broker.facts import BrokerFacts
from mistudio_runtime.broker.inspection import BrokerInspection
from mistudio_runtime.broker.provision import buckets, consumers, streams
from mistudio_runtime.broker.schedule_stream import schedules_stream
from mistudio_runtime.errors import MeshError
from mistudio_runtime.findings import Finding
from mistudio_runtime.findings.broker import judge_broker
from mistudio_runtime.host.disks import HOME, disk
from mistudio_runtime.queues import QueueTable
from mistudio_runtime.settings import Settings
from mistudio_runtime.version import version

SECOND_LOOK_SECONDS = 1.5
"""A job that waits although a slot is free may just be about to be pulled: it is looked at again."""
SCHEDULE_SECONDS = 2.0
"""A broker in good health tells of all schedules in milliseconds."""
DISK_SECONDS = 2.0
"""A network disk may hang."""


class MeshCheck:
    """Looks at the mesh as one gateway sees it. Answers in a few seconds whatever is down, and raises nothing."""

    def __init__(
        self,
        inspection: BrokerInspection,
        settings: Settings,
        table: QueueTable,
        *,
        ledger: Ledger,
        registry: WorkerRegistry,
        sessions: Sessions,
        schedules: Schedules,
        diagnoses: Diagnoses,
    ) -> None:
        """Takes what is looked at."""
        self._inspection = inspection
        self._settings = settings
        self._table = table
        self._ledger = ledger
        self._registry = registry
        self._sessions = sessions
        self._schedules = schedules
        self._diagnoses = diagnoses

    async def run(self, client_version: str) -> list[Finding]:
        """Returns the findings in the order of the checks, at least one for each."""
        broker, stuck, (home, embedded), schedules = await asyncio.gather(
            self._broker(), self._stuck(), self._home(), self._look_at_schedules()
        )
        workers, waiting, now = self._workers(), self._waiting(), utc_now()
        return [
            *judge_broker(broker, embedded=embedded),
            *check_streams(broker),
            *check_messages(waiting, broker.messages, now),
            *check_queues(waiting, stuck, now),
            *check_workers(workers, self._settings.ack_wait_seconds, now),
            *check_jobs(self._ledger.records(), now),
            *schedules,
            *check_versions(client_version, version(), workers),
            *check_clocks(workers, broker.clock_offset),
            *check_disks((self._settings.host, home), workers),
            *check_devices(workers),
        ]

    def _workers(self) -> list[v1.WorkerStatus]:
        """Returns the live workers; those attached here count even if the broker stores no sign of their life."""
        known = {status.worker.name: status for status in [*self._registry.alive(), *self._sessions.attached()]}
        return [known[name] for name in sorted(known)]

    def _waiting(self) -> Sequence[Waiting]:
        return waiting_by_queue(
            self._table,
            self._ledger.unfinished(),
            self._workers(),
            utc_now(),
            pauses=self._diagnoses.pauses.all,
            waits_for_device=self._diagnoses.waits_for_device,
        )

    async def _broker(self) -> BrokerFacts:
        wanted = [*streams(self._settings), *buckets(self._settings)]
        if self._schedules.possible:
            wanted.append(schedules_stream(self._settings))
        facts = await self._inspection.look(wanted)
        if facts.usable:
            await self._inspection.look_at_consumers(facts, consumers(self._table, self._settings))
            await self._inspection.ask_whether_it_stores(facts)
        return facts

    async def _look_at_schedules(self) -> list[Finding]:
        try:
            async with asyncio.timeout(SCHEDULE_SECONDS):
                return check_schedules(await self._schedules.list(), self._ledger.mirrored)
        except (MeshError, TimeoutError) as error:
            return [cannot_look(error)]

    async def _stuck(self) -> frozenset[str]:
        suspects = self._suspects()
        if not suspects:
            return suspects
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        return suspects & self._suspects()

    def _suspects(self) -> frozenset[str]:
        return frozenset(job for waiting in self._waiting() for job in waiting.stuck(utc_now()))

    async def _home(self) -> tuple[v1.Disk, bool]:
        """Returns the disk under the home, and whether the broker is the one that lies there."""
        unknown = v1.Disk(purpose=HOME, path=str(self._settings.home))
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._look_at_home), DISK_SECONDS)
        except TimeoutError:
            return unknown, False

    def _look_at_home(self) -> tuple[v1.Disk, bool]:
        home = self._settings.home
        return disk(HOME, home), discover_broker(home) == self._inspection.url
