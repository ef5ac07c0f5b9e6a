"""Mends what a crash or a lost message left: orphaned records, released children, vanished workers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, timedelta

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from nats.aio.client import Client

from mistudio import v1
from mistudio_gateway import dependencies, state_machine
from mistudio_gateway.attempt_ages import AttemptAges
from mistudio_gateway.deadlines import deadline_failure
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.withdrawal import withdraw
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.errors import FailedPreconditionError, MeshError, NotFoundError, UnavailableError
from mistudio_runtime.tasks import end_tasks

log = structlog.get_logger(__name__)

_ROUND_SECONDS = 2.0
_KICK_SECONDS = 0.02
"""Between two looks for children: many jobs may end at once."""
_ORPHAN_ROUND_SECONDS = 60.0
_PROMPT_SECONDS = 1.0
"""Within which a broker in good health answers."""
_LEFTOVER_AGE = timedelta(minutes=1)
"""A worker has acknowledged the message of a job that ended by then."""
_OLDEST = 20
"""Of those that wait in a queue, the ones that a broker has passed over are among the first."""
_AT_A_TIME = 500
_MISSING_PARENT_AGE = timedelta(minutes=5)


class Reconciler:
    """Looks over the mirror every few seconds, and at once after a job ended. Any number of gateways may run it."""

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        dispatcher: Dispatcher,
        registry: WorkerRegistry,
        *,
        ages: AttemptAges,
        lease_seconds: float,
    ) -> None:
        """Takes how long a worker may be silent before its jobs run elsewhere."""
        self._ages = ages
        self._client = client
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._registry = registry
        self._lease = lease_seconds
        self._kick = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._reconnects = 0
        self._steady_since = 0.0
        self._quiet_until = 0.0
        self._next_round = 0.0
        self._next_orphan_round = 0.0

    def start(self) -> None:
        """Begins to look."""
        self._expect_late_workers()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends."""
        await end_tasks(self._task)

    def kick(self) -> None:
        """Looks at once."""
        self._kick.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ROUND_SECONDS):
                    await self._kick.wait()
            kicked, now = self._kick.is_set(), time.monotonic()
            self._kick.clear()
            if now >= self._next_round:
                self._next_round = now + _ROUND_SECONDS
                await self._round()
            elif kicked:
                await self._for_each(v1.JOB_STATE_WAITING, self._release_or_fail)
                await asyncio.sleep(_KICK_SECONDS)

    async def _round(self) -> None:
        if self._client.stats["reconnects"] != self._reconnects or self._registry.steady_since > self._steady_since:
            self._expect_late_workers()
        self._ages.keep_only(self._ledger.in_states(*state_machine.ACTIVE))
        await self._for_each(v1.JOB_STATE_WAITING, self._release_or_fail)
        await self._for_each(v1.JOB_STATE_QUEUED, self._expire)
        for state in sorted(state_machine.ACTIVE):
            await self._for_each(state, self._reap)
        if time.monotonic() > self._next_orphan_round:
            self._next_orphan_round = time.monotonic() + _ORPHAN_ROUND_SECONDS
            await self._enqueue_orphans()
            await self._for_all(self._failed_by_others(), self._revive)

    def _expect_late_workers(self) -> None:
        # Records expire while the broker or the gateway is away: give workers a lease to show themselves again.
        self._reconnects = self._client.stats["reconnects"]
        self._steady_since = self._registry.steady_since
        self._quiet_until = time.monotonic() + self._lease

    async def _for_each(self, state: v1.JobState.ValueType, mend: Callable[[v1.Job], Awaitable[None]]) -> None:
        await self._for_all(self._ledger.in_states(state), mend)

    async def _for_all(self, jobs: Iterable[v1.Job], mend: Callable[[v1.Job], Awaitable[None]]) -> None:
        for number, job in enumerate(jobs, start=1):
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)  # whoever calls this gateway does not wait for a look at all jobs
            try:
                await mend(job)
            except (FailedPreconditionError, NotFoundError):
                continue  # somebody else was faster
            except MeshError as error:
                log.warning("reconciliation has to wait", job=job.id, reason=error.reason)
                self._expect_late_workers()
                return
            except Exception:  # the boundary of one job: what breaks on its record must not leave the others unmended
                log.exception("job cannot be mended", job=job.id)

    async def _release_or_fail(self, job: v1.Job) -> None:
        find = self._ledger.mirrored
        if parent := dependencies.failed_parent(job, find):
            await self._fail_waiting(job, dependencies.parent_failure(parent))
        elif dependencies.ready(job, find):
            await self._release(job)
        elif any(find(parent) is None for parent in job.depends_on) and _since(job.create_time) > _MISSING_PARENT_AGE:
            missing = v1.Failure(
                reason="DEPENDENCY_MISSING",
                message="a job that it needs was never recorded: submit it again",
                failure_class=v1.FAILURE_CLASS_PERMANENT,
            )
            await self._fail_waiting(job, missing)

    def _failed_by_others(self) -> list[v1.Job]:
        # Those that are over are many, and kept serialized: reading them all would take long.
        failed = (record for record in self._ledger.records() if record.state == v1.JOB_STATE_FAILED)
        return [record.job for record in failed if dependencies.DEPENDENCY_FAILED.encode() in record.data]

    async def _revive(self, job: v1.Job) -> None:
        # A retry puts a job's children back after the job: its gateway may have ended in between.
        def change(record: v1.Job) -> None:
            if dependencies.may_wait_again(record, self._ledger.mirrored):
                state_machine.retry(record, utc_now(), waits=True)

        if dependencies.may_wait_again(job, self._ledger.mirrored):
            await self._ledger.change(job.id, change)

    async def _fail_waiting(self, job: v1.Job, failure: v1.Failure) -> None:
        def change(record: v1.Job) -> None:
            if record.state == v1.JOB_STATE_WAITING:
                state_machine.fail_unstarted(record, failure, utc_now())

        await self._ledger.change(job.id, change)
        self.kick()

    async def _release(self, job: v1.Job) -> None:
        def change(record: v1.Job) -> None:
            if record.state != v1.JOB_STATE_WAITING:
                return
            if failure := dependencies.resolve_outputs(record, self._ledger.mirrored):
                state_machine.fail_unstarted(record, failure, utc_now())
            else:
                state_machine.enqueue(record, utc_now())

        released, _ = await self._ledger.change(job.id, change)
        if released.state == v1.JOB_STATE_QUEUED:
            await self._dispatcher.enqueue(released)

    async def _expire(self, job: v1.Job) -> None:
        if deadline_failure(job, utc_now()) is None:
            return

        def change(record: v1.Job) -> None:
            if failure := deadline_failure(record, utc_now()):
                state_machine.fail_unstarted(record, failure, utc_now())

        expired, _ = await self._ledger.change(job.id, change)
        if state_machine.is_terminal(expired):
            await withdraw(self._ledger, self._dispatcher, expired)
            self.kick()

    async def _reap(self, job: v1.Job) -> None:
        if time.monotonic() < self._quiet_until or not self._vanished(job):
            return
        number, asked = state_machine.current_attempt(job), time.monotonic()

        def change(record: v1.Job) -> None:
            if time.monotonic() - asked > _PROMPT_SECONDS:
                raise UnavailableError("the broker stalled, and signs of life stalled with it")
            current = state_machine.current_attempt(record) == number
            if current and record.state in state_machine.ACTIVE:
                state_machine.lose(record, utc_now())

        changed, _ = await self._ledger.change(job.id, change, fresh=True)
        log.warning("worker vanished", job=job.id, attempt=number, worker=job.attempts[-1].worker)
        if state_machine.is_terminal(changed):
            await self._dispatcher.remove(changed)
            self.kick()

    def _vanished(self, job: v1.Job) -> bool:
        attempt = job.attempts[-1]
        return not self._ages.is_young(job) and not self._registry.runs(attempt.worker, job.id, attempt.number)

    async def _enqueue_orphans(self) -> None:
        try:
            enqueued = await self._dispatcher.enqueued_jobs()
            for job in self._ledger.in_states(v1.JOB_STATE_QUEUED):
                if job.id not in enqueued:
                    await self._enqueue_orphan(job.id)
            await self._for_all(self._over(enqueued), self._remove_leftover)
            await self._for_all(self._passed_over(), self._replace_unreachable)
        except MeshError as error:
            log.warning("orphans have to wait", reason=error.reason)
        except Exception:  # as above: the next round tries again
            log.exception("orphans cannot be enqueued")

    def _over(self, enqueued: Iterable[str]) -> list[v1.Job]:
        found = [job for job in map(self._ledger.mirrored, enqueued) if job is not None]
        return [job for job in found if state_machine.is_terminal(job) and _since(job.end_time) > _LEFTOVER_AGE]

    async def _remove_leftover(self, job: v1.Job) -> None:
        if await self._dispatcher.remove_leftover(job):
            log.warning("message of a job that is over was left", job=job.id)

    def _passed_over(self) -> list[v1.Job]:
        waiting = [job for job in self._ledger.in_states(v1.JOB_STATE_QUEUED) if _due(job)]
        waiting.sort(key=lambda job: (job.queue, job.priority, job.update_time.ToNanoseconds()))
        lanes = itertools.groupby(waiting, key=lambda job: (job.queue, job.priority))
        return [job for _, lane in lanes for job in itertools.islice(lane, _OLDEST)]

    async def _replace_unreachable(self, job: v1.Job) -> None:
        if await self._dispatcher.replace_unreachable(job):
            log.warning("message of a queued job was passed over", job=job.id)

    async def _enqueue_orphan(self, job_id: str) -> None:
        job = await self._ledger.get(job_id)  # the mirror may be behind
        if job.state == v1.JOB_STATE_QUEUED and not await self._dispatcher.has_message(job):
            log.warning("queued job had no message", job=job_id)
            await self._dispatcher.enqueue(job, lost=True)


def _due(job: v1.Job) -> bool:
    """Tells whether a worker should have asked for a queued job by now, if one was free."""
    return _since(job.update_time) > _LEFTOVER_AGE and _since(job.not_before) > _LEFTOVER_AGE


def _since(time: Timestamp) -> timedelta:
    return utc_now() - time.ToDatetime(UTC)
