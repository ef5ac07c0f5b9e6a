"""What an attempt says after its end is refused by the broker, whatever its gateway still believes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mistudio import v1
from mistudio_gateway import state_machine
from mistudio_gateway.ledger import utc_now
from mistudio_runtime.errors import FailedPreconditionError, NotFoundError
from support.broker import NatsServer
from support.gateway_parts import GatewayParts, gateway_parts, metric, progress, queued

Two = tuple[GatewayParts, GatewayParts]


@pytest.fixture
async def gateways(nats_server: NatsServer) -> AsyncIterator[Two]:
    async with gateway_parts(nats_server.url) as one, gateway_parts(nats_server.url) as other:
        for gateway in (one, other):
            gateway.log.fence_by(looking_at(gateway))
        job = queued("job-1")
        job.max_attempts = 3
        await one.ledger.create(job)
        await one.ledger.change("job-1", lambda job: state_machine.claim(job, "w", utc_now()))
        yield one, other


def looking_at(gateway: GatewayParts) -> object:
    async def is_current(job_id: str, attempt: int) -> bool:
        try:
            job = await gateway.ledger.get(job_id)
        except NotFoundError:
            return False
        return job.state in state_machine.ACTIVE and state_machine.current_attempt(job) == attempt

    return is_current


async def say(gateway: GatewayParts, value: float) -> None:
    await gateway.log.append(metric("job-1", value), deduplication_id=f"{value}")


async def values(gateway: GatewayParts) -> list[float]:
    stored = [v1.WatchJobResponse.FromString(event.response).event async for event in gateway.log.read("job-1", 0)]
    return [event.metric.value for event in stored if event.HasField("metric")]


async def lose(gateway: GatewayParts) -> None:
    await gateway.ledger.change("job-1", lambda job: state_machine.lose(job, utc_now()))
    await gateway.ledger.told("job-1")


async def test_an_attempt_that_another_gateway_took_back_can_say_nothing_more(gateways: Two) -> None:
    one, other = gateways
    await say(one, 1)
    await other.ledger.get("job-1")
    await lose(other)
    with pytest.raises(FailedPreconditionError):
        await say(one, 2)
    await other.ledger.change("job-1", lambda job: state_machine.claim(job, "v", utc_now()))
    await other.ledger.told("job-1")
    with pytest.raises(FailedPreconditionError):
        await say(one, 3)
    assert await values(one) == [1]


async def test_a_write_that_was_on_its_way_when_the_state_changed_is_refused(gateways: Two) -> None:
    one, other = gateways
    await say(one, 1)
    believed = one.log._fences.still_current
    thawed = asyncio.Event()

    async def slowly(job_id: str, attempt: int) -> bool:
        assert believed is not None
        current = await believed(job_id, attempt)
        await thawed.wait()
        return current

    one.log.fence_by(slowly)
    one.log._fences.forget("job-1")
    late = asyncio.create_task(say(one, 2))
    await asyncio.sleep(0.1)
    await other.ledger.get("job-1")
    await lose(other)
    thawed.set()
    with pytest.raises(FailedPreconditionError):
        await late
    assert await values(one) == [1]


async def test_an_attempt_goes_on_writing_while_its_state_changes_under_it(gateways: Two) -> None:
    one, other = gateways
    await other.ledger.get("job-1")
    writes = [asyncio.create_task(say(one, number)) for number in range(50)]
    await other.ledger.change("job-1", lambda job: state_machine.request_pause(job, utc_now()))
    writes += [asyncio.create_task(say(one, number)) for number in range(50, 100)]
    await asyncio.gather(*writes)
    assert sorted(await values(one)) == [*range(100)]


async def test_kept_progress_comes_before_the_change_that_ends_it(gateways: Two) -> None:
    one, _ = gateways
    await one.ledger.told("job-1")
    for fraction in (0.1, 0.2, 0.3):
        await one.log.append(progress("job-1", fraction), deduplication_id="")
    await one.ledger.change("job-1", lambda job: state_machine.succeed(job, 1, [], utc_now()))
    await one.ledger.told("job-1")
    kinds = [event.kind async for event in one.log.read("job-1", 0)]
    assert kinds == ["job", "job", "progress", "progress", "job"]
