"""Two gateways that lease one device, stopped between any two of their writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mistudio import v1
from mistudio_gateway import device_leases, state_machine
from mistudio_gateway.device_leases import DeviceLeases, Hold, Need
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.broker.connection import connect
from mistudio_runtime.broker.provision import leases_bucket, provision, workers_bucket
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings
from support.broker import NatsServer
from support.waiting import eventually

WORKER, GPU = "w@h", "cuda:0"
Step = Callable[[], Awaitable[None]]


async def _no_step() -> None: ...


class GatewayDiedError(Exception):
    """Stands for a kill."""


@dataclass
class Gateway:
    """What of a gateway grants devices."""

    ledger: Ledger
    leases: DeviceLeases

    async def claim(self, job_id: str, *, before: Step = _no_step, after: Step = _no_step) -> v1.ClaimAnswer:
        """Claims a job, with something to do before and after the ledger has the attempt."""

        async def claim(hold: Hold | None) -> v1.ClaimAnswer | Need:
            if hold:
                await before()
            job, need = await self.ledger.change(job_id, lambda job: self._begin(job, hold))
            if hold:
                await after()
            attempt = job.attempts[-1] if job.attempts else v1.Attempt()
            granted = v1.CLAIM_VERDICT_GRANTED
            return need or v1.ClaimAnswer(verdict=granted, job=job, attempt=attempt.number, device=attempt.device)

        return await self.leases.claim(claim)

    def _begin(self, job: v1.Job, hold: Hold | None) -> Need | None:
        if job.state == v1.JOB_STATE_RUNNING:
            return None
        if need := self.leases.need(job, WORKER, hold):
            return need
        state_machine.claim(job, WORKER, utc_now())
        job.attempts[-1].device = hold.device if hold else ""
        return None

    async def end(self, job_id: str) -> None:
        """Stores that the job's attempt has succeeded."""
        job, _ = await self.ledger.change(job_id, lambda job: state_machine.succeed(job, 1, [], utc_now()))
        await self.leases.end(job, 1)


async def _start(url: str, settings: Settings, stack: AsyncExitStack) -> Gateway:
    client = await connect(url, "gateway")
    stack.push_async_callback(client.close)
    js = client.jetstream()
    await provision(js, load_queues(), settings)
    events = EventLog(client)
    stack.callback(events.stop)
    ledger = Ledger(client, events)
    registry = WorkerRegistry(client, await workers_bucket(js, settings), lease_seconds=60)
    bucket = await leases_bucket(js, settings)
    leases = DeviceLeases(client, bucket, ledger, registry, dispatcher=Dispatcher(client, js))
    for part in (ledger, registry, leases):
        await part.start()
        stack.push_async_callback(part.stop)
    status = v1.WorkerStatus(worker=v1.Worker(name=WORKER, host="h", device=GPU))
    status.host_status.disks.add(purpose="home")
    await registry.put(status)
    return Gateway(ledger, leases)


@pytest.fixture
async def gateways(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[tuple[Gateway, Gateway]]:
    async with AsyncExitStack() as stack:
        settings = Settings(home=tmp_path)
        first = await _start(nats_server.url, settings, stack)
        second = await _start(nats_server.url, settings, stack)
        for number in (1, 2):
            job = v1.Job(id=f"job-{number}", kind="train_sae", queue="training", state=v1.JOB_STATE_QUEUED, priority=5)
            job.spec.train_sae.SetInParent()
            job.update_time.FromDatetime(utc_now())
            await first.ledger.create(job)
        yield first, second


def granted(answer: v1.ClaimAnswer) -> bool:
    """Tells whether a claim was granted, with the device; else the job is to come again."""
    if answer.verdict == v1.CLAIM_VERDICT_GRANTED:
        assert answer.device == GPU
        return True
    assert answer.verdict == v1.CLAIM_VERDICT_LATER
    return False


async def test_a_device_is_granted_once_and_again_when_it_is_free(gateways: tuple[Gateway, Gateway]) -> None:
    first, second = gateways
    answers = await asyncio.gather(first.claim("job-1"), second.claim("job-2"))
    winners = [granted(answer) for answer in answers]
    assert sorted(winners) == [False, True]
    winner, other = ("job-1", "job-2") if winners[0] else ("job-2", "job-1")
    assert not granted(await first.claim(other))
    await second.end(winner)
    await eventually(lambda: _granted(second, other), what="the other job gets the device")


async def _granted(gateway: Gateway, job_id: str) -> bool:
    return granted(await gateway.claim(job_id))


async def test_a_claim_that_took_too_long_is_taken_back(
    gateways: tuple[Gateway, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_leases, "UNCONFIRMED_SECONDS", 0.2)
    slow, quick = gateways
    stands_still, goes_on = asyncio.Event(), asyncio.Event()

    async def stand_still() -> None:
        stands_still.set()
        await goes_on.wait()

    claiming = asyncio.create_task(slow.claim("job-1", before=stand_still))
    await stands_still.wait()
    await eventually(lambda: _granted(quick, "job-2"), what="the other gateway takes the lease over")
    goes_on.set()
    assert not granted(await claiming)
    job = await slow.ledger.get("job-1")
    assert (job.state, job.attempts[0].outcome) == (v1.JOB_STATE_QUEUED, v1.ATTEMPT_OUTCOME_RELEASED)
    assert (await slow.ledger.get("job-2")).state == v1.JOB_STATE_RUNNING


async def test_a_gateway_that_dies_before_it_confirms_leaves_a_lease_that_holds(
    gateways: tuple[Gateway, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_leases, "UNCONFIRMED_SECONDS", 0.0)
    dying, other = gateways

    async def die() -> None:
        raise GatewayDiedError

    with pytest.raises(GatewayDiedError):
        await dying.claim("job-1", after=die)
    assert not granted(await other.claim("job-2"))
    await eventually(lambda: _granted(other, "job-1"), what="the worker asks another gateway")
    assert not granted(await other.claim("job-2"))


async def test_two_gateways_that_a_worker_asks_for_one_job_grant_one_attempt(gateways: tuple[Gateway, Gateway]) -> None:
    slow, quick = gateways
    stands_still, goes_on = asyncio.Event(), asyncio.Event()

    async def stand_still() -> None:
        stands_still.set()
        await goes_on.wait()

    claiming = asyncio.create_task(slow.claim("job-1", before=stand_still))
    await stands_still.wait()
    await eventually(lambda: _granted(quick, "job-1"), what="the other gateway grants it too")
    goes_on.set()
    assert granted(await claiming)
    job = await slow.ledger.get("job-1")
    assert [attempt.outcome for attempt in job.attempts] == [v1.ATTEMPT_OUTCOME_UNSPECIFIED]
    assert not granted(await quick.claim("job-2"))


async def test_the_lease_of_a_lost_attempt_is_void(gateways: tuple[Gateway, Gateway]) -> None:
    first, second = gateways
    assert granted(await first.claim("job-1"))
    await first.ledger.change("job-1", lambda job: state_machine.lose(job, utc_now()))
    await eventually(lambda: _granted(second, "job-2"), what="the other job gets the device")
    assert not granted(await first.claim("job-1"))
