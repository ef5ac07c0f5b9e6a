"""Watches of jobs through several gateways on a real broker: nothing missed, nothing twice, nothing out of order."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import nats.errors
import pytest

from mistudio import v1
from mistudio_gateway import event_feed
from mistudio_runtime.broker import names
from mistudio_runtime.errors import NotFoundError, UnavailableError
from support.broker import NatsServer
from support.gateway_parts import DIAGNOSIS, GatewayParts, gateway_parts, line, metric, progress, queued
from support.waiting import eventually

JOB = "job-1"
SEED = 2


@pytest.fixture
async def gateways(nats_server: NatsServer) -> AsyncIterator[list[GatewayParts]]:
    """Two gateways, and a job that is queued."""
    async with AsyncExitStack() as stack:
        both = [await stack.enter_async_context(gateway_parts(nats_server.url)) for _ in range(2)]
        assert await both[0].ledger.create(queued(JOB))
        await eventually(lambda: both[0].log.last_sequence(JOB), what="its state is told")
        yield both


async def store(gateway: GatewayParts, event: v1.JobEvent, message_id: str) -> None:
    """Stores an event as a worker has it stored: again and again, until somebody confirms it."""
    while True:
        try:
            await gateway.log.append(event, deduplication_id=message_id)
        except UnavailableError:
            continue
        return


async def write(gateways: list[GatewayParts], dice: random.Random, count: int) -> None:
    """Has events stored through either gateway, some side by side."""
    numbers = iter(range(count))
    while burst := list(itertools.islice(numbers, dice.randrange(1, 8))):
        kinds = [dice.choice((metric(JOB, number), line(JOB, str(number)))) for number in burst]
        await asyncio.gather(
            *(store(dice.choice(gateways), event, f"toy.{number}") for number, event in zip(burst, kinds, strict=True))
        )


async def follow(gateways: list[GatewayParts], dice: random.Random) -> list[int]:
    """Watches to the end through one gateway after the other; returns the sequences of stored events."""
    seen = [0]
    while True:
        patience = dice.randrange(1, 120)
        try:
            async with aclosing(dice.choice(gateways).watch(JOB, seen[-1])) as events:
                async for event in events:
                    if not event.HasField("diagnosis"):
                        seen.append(event.sequence)
                    if event.job.state == v1.JOB_STATE_CANCELLED:
                        return seen[1:]
                    patience -= 1
                    if not patience:
                        break
        except UnavailableError:
            await asyncio.sleep(0)


async def hurt(nats_server: NatsServer, gateways: list[GatewayParts], dice: random.Random) -> None:
    """Takes the consumers away from both gateways, and kills the broker once."""
    manager = gateways[0].client.jetstream()
    for _ in range(3):
        await asyncio.sleep(dice.uniform(0.1, 0.4))
        try:
            for consumer in await manager.consumers_info(names.EVENTS_STREAM):
                await manager.delete_consumer(names.EVENTS_STREAM, consumer.name)
        except nats.errors.Error:
            continue
    await asyncio.to_thread(nats_server.restart)


async def test_watchers_that_are_cut_miss_and_repeat_nothing(
    gateways: list[GatewayParts], nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "TAIL_EVENTS", 16)  # so that slow ones fall behind it
    dice = random.Random(SEED)
    watchers = [asyncio.create_task(follow(gateways, random.Random(SEED + n))) for n in range(6)]
    await asyncio.gather(write(gateways, dice, 600), hurt(nats_server, gateways, dice))
    await gateways[0].end(JOB)
    seen = await asyncio.gather(*watchers)
    stored = [event.sequence async for event in gateways[1].log.read(JOB, 0)]
    assert len(stored) == 602
    assert all(sequences == stored for sequences in seen)


async def test_all_watchers_of_a_gateway_share_one_consumer(gateways: list[GatewayParts]) -> None:
    told: list[int] = []

    async def one() -> None:
        async for event in gateways[0].watch(JOB):
            told.append(event.sequence)  # noqa: PERF401 - others look at it meanwhile

    async def consumers() -> int:
        return len(await gateways[1].client.jetstream().consumers_info(names.EVENTS_STREAM))

    watchers = [asyncio.create_task(one()) for _ in range(50)]
    await eventually(lambda: len(told) == 100, what="the job and its diagnosis are told to all")
    assert await consumers() == 1
    await store(gateways[1], line(JOB, "hello"), "toy.1")
    await eventually(lambda: len(told) == 150, what="all hear of the line")
    await gateways[1].end(JOB)
    await asyncio.gather(*watchers)
    assert len(told) == 200


async def test_progress_is_paced_and_the_last_one_comes_before_the_end(gateways: list[GatewayParts]) -> None:
    for step in range(50):
        await store(gateways[0], progress(JOB, step / 50), "")
    await gateways[0].end(JOB)
    events = [event async for event in gateways[1].watch(JOB)]
    fractions = [event.progress.fraction for event in events if event.HasField("progress")]
    assert fractions[0] == 0.0
    assert fractions[-1] == pytest.approx(0.98)
    assert len(fractions) < 50
    assert events[-1].job.state == v1.JOB_STATE_CANCELLED
    assert [event.sequence for event in events] == sorted(event.sequence for event in events)


async def test_an_end_whose_event_got_lost_is_told_by_the_ledger(gateways: list[GatewayParts]) -> None:
    events = gateways[0].watch(JOB)
    assert (await anext(events)).job.state == v1.JOB_STATE_QUEUED
    assert (await anext(events)).diagnosis == DIAGNOSIS
    job = await gateways[0].ledger.get(JOB)
    job.state = v1.JOB_STATE_CANCELLED
    job.end_time.GetCurrentTime()
    bucket = await gateways[0].client.jetstream().key_value(names.LEDGER_BUCKET)
    await bucket.put(JOB, job.SerializeToString())
    assert [event.job.state async for event in events] == [v1.JOB_STATE_CANCELLED]


async def test_what_older_gateways_stored_under_one_subject_is_replayed(gateways: list[GatewayParts]) -> None:
    js = gateways[0].client.jetstream()
    for event in (line(JOB, "old"), progress(JOB, 0.5), metric(JOB, 1.0)):
        await js.publish(names.event_subject(JOB), event.SerializeToString())
    await store(gateways[0], line(JOB, "new"), "toy.1")
    events = [event async for event in gateways[1].watch(JOB, replay_only=True)]
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["job", "log", "progress", "metric", "log", "diagnosis"]
    assert [event.log.message for event in events if event.HasField("log")] == ["old", "new"]


async def test_a_job_that_is_deleted_while_it_is_watched_ends_the_watch(gateways: list[GatewayParts]) -> None:
    events = gateways[0].watch(JOB)
    assert (await anext(events)).job.state == v1.JOB_STATE_QUEUED
    assert (await anext(events)).diagnosis == DIAGNOSIS
    await gateways[1].ledger.remove(JOB, lambda _: None)
    with pytest.raises(NotFoundError):
        await anext(events)
