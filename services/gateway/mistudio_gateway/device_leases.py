"""Grants devices to attempts: a lease is taken before the ledger has the attempt, and confirmed when it has it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog
from nats.aio.client import Client
from nats.js.errors import APIError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from mistudio import v1
from mistudio_gateway import state_machine
from mistudio_gateway.broker_errors import broker_answers
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.leases import Lease, device_key, has_told, stands, waits_for_device, wanted_devices
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.live_bucket import Entry, LiveBucket
from mistudio_gateway.stream_pages import StreamPages
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.broker import names
from mistudio_runtime.device_kinds import DEVICE_KINDS
from mistudio_runtime.errors import MeshError, NotFoundError
from mistudio_runtime.tasks import end_tasks

log = structlog.get_logger(__name__)

LATER = timedelta(seconds=0.8)
"""After which a job that found no free device is offered again."""
UNCONFIRMED_SECONDS = 3.0
"""A claim that took a lease and has not come further by then has died with its gateway."""
_SWEEP_SECONDS = 15.0


@dataclass(frozen=True)
class Need:
    """That a job cannot be granted without a device."""

    job_id: str
    queue: str
    attempt: int
    """The number that the attempt will have."""
    devices: tuple[tuple[str, str], ...]
    """The devices that it may take, any of them, each as the worker names it and by its key; none if unknown yet."""


@dataclass(frozen=True)
class Hold:
    """A lease that is taken for an attempt which the ledger may not have yet."""

    lease: Lease
    device: str
    key: str
    revision: int


Claim = Callable[[Hold | None], Awaitable["v1.ClaimAnswer | Need"]]


class DeviceLeases:
    """One record a device and place, written by compare-and-set: no two gateways grant the same one.

    A gateway may be killed between any two writes. A lease whose attempt the ledger does not have as its job's active
    one is void; one whose claim is still under way is void when nothing has come of it for UNCONFIRMED_SECONDS, and
    should that claim go on after all, its confirmation fails and the attempt is taken back before any worker knows.
    """

    def __init__(
        self,
        client: Client,
        bucket: KeyValue,
        ledger: Ledger,
        registry: WorkerRegistry,
        *,
        dispatcher: Dispatcher,
    ) -> None:
        """Takes what wakes the workers that wait for a device."""
        self.jobs_per_device = 1
        """How many jobs may share one."""
        self._bucket = bucket
        self._live = LiveBucket(client, bucket, Lease.decode)
        self._pages = StreamPages(client, names.bucket_stream(names.LEASES_BUCKET), "")
        self._ledger = ledger
        self._registry = registry
        self._dispatcher = dispatcher
        self._wakes: dict[str, asyncio.Task[None]] = {}
        """By the queue of jobs that found no free device."""
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to mirror the bucket, and to remove void leases."""
        await self._live.start()
        self._sweeping = asyncio.create_task(self._sweep_for_ever())

    async def stop(self) -> None:
        """Ends."""
        await end_tasks(self._sweeping, *self._wakes.values())
        await self._live.stop()

    def need(self, job: v1.Job, worker: str, hold: Hold | None) -> Need | None:
        """Returns what a queued job needs beyond the lease that its claim holds, before it may begin; None if nothing.

        Costs nothing for job kinds that use no device.
        """
        if job.kind not in DEVICE_KINDS:
            return None
        attempt = state_machine.current_attempt(job) + 1
        if hold is not None and (hold.lease.job_id, hold.lease.attempt) == (job.id, attempt):
            return None
        status = self._registry.find(worker)
        if status is None or not has_told(status):
            return Need(job.id, job.queue, attempt, ())
        devices = tuple((device, device_key(status, device)) for device in wanted_devices(job, status))
        return Need(job.id, job.queue, attempt, devices) if devices else None

    def waits_for_device(self, job: v1.Job) -> str:
        """Returns the sentence that names the device which a queued job waits for, and its holder, or ""."""
        if job.kind not in DEVICE_KINDS:
            return ""
        return waits_for_device(job, self._registry.serving(job.queue), self._registry.alive(), self.jobs_per_device)

    async def claim(self, claim: Claim) -> v1.ClaimAnswer:
        """Calls `claim`, again with a lease if it needs one. Raises UnavailableError."""
        answer = await claim(None)
        if isinstance(answer, Need):
            return await self._claim_with_device(answer, claim)
        if answer.device:  # granted before; that answer got lost, perhaps before its lease was confirmed
            return await self._granted_again(answer)
        return answer

    async def end(self, job: v1.Job, attempt: int) -> None:
        """Lets go of what an attempt that has ended held; whatever fails here is void all the same."""
        if not any(one.number == attempt and one.device for one in job.attempts):
            return
        for key, entry in self._of(job.id, attempt):
            await self._remove(key, entry.revision)

    async def _claim_with_device(self, need: Need, claim: Claim) -> v1.ClaimAnswer:
        if not need.devices:
            return _later("its worker has not told yet which devices its host has")
        if (hold := await self._take(need)) is None:
            self._wake_later(need.queue)
            return _later(f"every device that it may take is held: {', '.join(name for name, _ in need.devices)}")
        answer = await claim(hold)
        if isinstance(answer, v1.ClaimAnswer) and answer.attempt == need.attempt:
            return await self._confirmed(hold, answer)
        await self._remove(hold.key, hold.revision)
        if isinstance(answer, Need) or answer.device:
            return _later("it was changed while it was claimed")
        return answer

    async def _take(self, need: Need) -> Hold | None:
        lease = Lease(need.job_id, need.attempt, granted=False)
        for place in range(self.jobs_per_device):
            for device, device_place in need.devices:
                key = f"{device_place}/{place}"
                entry = self._live.entries.get(key)
                if entry is None or entry.value == lease or await self._void(entry):
                    revision = await self._write(key, lease, entry.revision if entry else 0)
                    if revision:
                        return Hold(lease, device, key, revision)
        return None

    async def _void(self, entry: Entry[Lease]) -> bool:
        verdict = stands(entry.value, self._ledger.mirrored(entry.value.job_id))
        if verdict is not True:  # the mirror may be behind
            verdict = stands(entry.value, await self._recorded(entry.value.job_id))
        if verdict is None:
            # By this gateway's own clock, since it saw the lease: clocks of machines differ.
            return time.monotonic() - entry.received > UNCONFIRMED_SECONDS
        return not verdict

    async def _recorded(self, job_id: str) -> v1.Job | None:
        try:
            return await self._ledger.get(job_id)
        except NotFoundError:
            return None

    async def _confirmed(self, hold: Hold, answer: v1.ClaimAnswer) -> v1.ClaimAnswer:
        granted, revision = replace(hold.lease, granted=True), hold.revision
        while not await self._write(hold.key, granted, revision):
            found, revision = await self._read(hold.key)
            if found == granted:  # by another gateway, which the worker asked as well
                return answer
            if found != hold.lease:
                await self._take_back(hold.lease)
                return _later(f"{hold.device} was taken meanwhile")
        return answer

    async def _granted_again(self, answer: v1.ClaimAnswer) -> v1.ClaimAnswer:
        for key, entry in self._of(answer.job.id, answer.attempt):
            if entry.value.granted:
                return answer
            return await self._confirmed(Hold(entry.value, answer.device, key, entry.revision), answer)
        return _later("its lease is not seen yet")

    async def _take_back(self, lease: Lease) -> None:
        def change(job: v1.Job) -> None:
            if state_machine.current_attempt(job) == lease.attempt and job.state in state_machine.ACTIVE:
                state_machine.release(job, lease.attempt, utc_now())

        log.warning("a claim took too long and lost its device", job=lease.job_id, attempt=lease.attempt)
        await self._ledger.change(lease.job_id, change)

    def _of(self, job_id: str, attempt: int) -> Sequence[tuple[str, Entry[Lease]]]:
        found = list(self._live.entries.items())
        return [one for one in found if (one[1].value.job_id, one[1].value.attempt) == (job_id, attempt)]

    async def _write(self, key: str, lease: Lease, revision: int) -> int:
        """Stores a lease over that revision, 0 for none; returns the new revision, 0 if somebody else was faster."""
        with broker_answers():
            try:
                if revision:
                    stored = await self._bucket.update(key, lease.encode(), last=revision)
                else:
                    stored = await self._bucket.create(key, lease.encode())
            except KeyWrongLastSequenceError:
                return 0
        self._live.put(key, lease, stored)
        return stored

    async def _read(self, key: str) -> tuple[Lease | None, int]:
        found = await self._pages.last(names.bucket_subject(names.LEASES_BUCKET, key))
        if found is None or "KV-Operation" in found.headers:
            return None, 0
        return Lease.decode(found.data), found.sequence

    async def _remove(self, key: str, revision: int) -> None:
        with contextlib.suppress(MeshError, APIError), broker_answers():
            await self._bucket.delete(key, last=revision)
            if (entry := self._live.entries.get(key)) and entry.revision == revision:
                self._live.drop(key)

    def _wake_later(self, queue: str) -> None:
        """Has the workers look when the job is offered again, which nothing else tells them."""
        if queue not in self._wakes or self._wakes[queue].done():
            self._wakes[queue] = asyncio.create_task(self._wake(queue))

    async def _wake(self, queue: str) -> None:
        await asyncio.sleep(LATER.total_seconds() * 1.05)
        with contextlib.suppress(MeshError):  # the workers look by themselves, a little later
            await self._dispatcher.wake(queue)

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                await self._sweep()
            except MeshError as error:
                log.warning("void leases have to wait", reason=error.reason)
            except Exception:  # the boundary of a task: void leases harm nobody
                log.exception("void leases cannot be removed")

    async def _sweep(self) -> None:
        for key, entry in list(self._live.entries.items()):
            if await self._void(entry):
                await self._remove(key, entry.revision)


def _later(reason: str) -> v1.ClaimAnswer:
    answer = v1.ClaimAnswer(verdict=v1.CLAIM_VERDICT_LATER, reason=reason)
    answer.delay.FromTimedelta(LATER)
    return answer
