"""The ledger of two gateways on a real broker: both know everything, and neither overwrites the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from mistudio import v1
from mistudio_runtime.broker import names
from mistudio_runtime.errors import NotFoundError
from support.broker import NatsServer
from support.gateway_parts import GatewayParts, gateway_parts, queued
from support.waiting import eventually


@pytest.fixture
async def gateways(nats_server: NatsServer) -> AsyncIterator[tuple[GatewayParts, GatewayParts]]:
    """Two gateways on one broker."""
    async with AsyncExitStack() as stack:
        yield (
            await stack.enter_async_context(gateway_parts(nats_server.url)),
            await stack.enter_async_context(gateway_parts(nats_server.url)),
        )


def count_up(job: v1.Job) -> None:
    """Leaves a trace of one change."""
    job.failed_attempts += 1


def name_of(gateway: GatewayParts, job_id: str) -> str | None:
    """Returns a job's display name as a gateway's mirror has it."""
    job = gateway.ledger.mirrored(job_id)
    return job.display_name if job else None


async def test_what_one_gateway_writes_the_other_mirrors(gateways: tuple[GatewayParts, GatewayParts]) -> None:
    one, other = gateways
    assert all(await asyncio.gather(*(one.ledger.create(queued(f"job-{n}")) for n in range(50))))
    await eventually(lambda: len(other.ledger.unfinished()) == 50, what="the other gateway knows all jobs")
    await one.end("job-7")
    await eventually(lambda: len(other.ledger.unfinished()) == 49, what="and that one is over")
    assert {job.id for job in other.ledger.in_states(v1.JOB_STATE_CANCELLED)} == {"job-7"}


async def test_changes_by_both_at_once_all_count(gateways: tuple[GatewayParts, GatewayParts]) -> None:
    await gateways[0].ledger.create(queued("job-1"))
    await asyncio.gather(*(gateway.ledger.change("job-1", count_up) for gateway in gateways * 20))
    job = await gateways[0].ledger.get("job-1")
    assert job.failed_attempts == 40
    await eventually(
        lambda: all(g.ledger.mirrored("job-1") == job for g in gateways), what="both mirrors show the last change"
    )


async def test_a_refusal_is_never_made_from_an_old_record(gateways: tuple[GatewayParts, GatewayParts]) -> None:
    one, other = gateways
    await one.ledger.create(queued("job-1"))
    await eventually(lambda: other.ledger.mirrored("job-1"), what="the other gateway knows the job")

    def only_named(job: v1.Job) -> str:
        if not job.display_name:
            raise NotFoundError("no name")
        return job.display_name

    await one.ledger.change("job-1", lambda job: setattr(job, "display_name", "new"))
    _, name = await other.ledger.change("job-1", only_named)  # perhaps before its mirror has heard of it
    assert name == "new"


async def test_an_id_is_given_once_and_again_after_its_deletion(gateways: tuple[GatewayParts, GatewayParts]) -> None:
    one, other = gateways
    created = await asyncio.gather(*(gateway.ledger.create(queued("job-1")) for gateway in gateways))
    assert sorted(created) == [False, True]
    assert await one.ledger.remove("job-1", lambda _: None)
    assert not await other.ledger.remove("job-1", lambda _: None)
    await eventually(lambda: other.ledger.mirrored("job-1") is None, what="the other gateway forgets it")
    assert await other.ledger.create(queued("job-1"))


async def test_mirrors_agree_again_after_the_broker_was_killed(
    gateways: tuple[GatewayParts, GatewayParts], nats_server: NatsServer
) -> None:
    one, other = gateways
    await one.ledger.create(queued("job-1"))
    nats_server.restart()
    await eventually(lambda: all(g.client.stats["reconnects"] for g in gateways), what="both are connected again")
    await one.ledger.change("job-1", lambda job: setattr(job, "display_name", "after"))
    await eventually(lambda: name_of(other, "job-1") == "after", what="the other gateway hears of it")


async def test_a_gateway_that_starts_reads_what_there_is(nats_server: NatsServer) -> None:
    async with gateway_parts(nats_server.url) as first:
        await asyncio.gather(*(first.ledger.create(queued(f"job-{n}")) for n in range(1_200)))
        await first.end("job-3")
    async with gateway_parts(nats_server.url) as second:
        assert len(second.ledger.records()) == 1_200
        assert len(second.ledger.unfinished()) == 1_199


async def test_an_end_that_was_not_told_is_told_when_it_is_repeated(
    gateways: tuple[GatewayParts, GatewayParts],
) -> None:
    one, other = gateways
    ended = queued("job-1")
    ended.state = v1.JOB_STATE_CANCELLED
    ended.end_time.GetCurrentTime()
    # As a gateway leaves it that is killed between record and event.
    await one.client.jetstream().publish(names.ledger_subject("job-1"), ended.SerializeToString(deterministic=True))
    for gateway in (other, one, other):
        await gateway.ledger.get("job-1")
        await gateway.ledger.told("job-1", again=True)
    told = [event async for event in other.log.read("job-1", 0)]
    assert [event.job.state for event in told if event.job] == [v1.JOB_STATE_CANCELLED]
