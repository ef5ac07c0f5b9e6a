"""Appends that come together, on a real broker: stored in order, together, and each answered for itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from nats.js.errors import APIError

from mistudio_gateway.batching import MAX_MESSAGES, BatchedStream
from mistudio_runtime.broker import names
from support.broker import NatsServer

STREAM = "TRY"
WRONG_LAST_SEQUENCE = 10071


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """A connection to a broker with one stream that allows batches."""
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(StreamConfig(name=STREAM, subjects=["try.*"], allow_atomic=True))
    yield client
    await client.close()


async def stored(client: Client) -> list[bytes]:
    """Returns all payloads in the order of the stream."""
    js = client.jetstream()
    last = (await js.stream_info(STREAM)).state.last_seq
    messages = [await js.get_msg(STREAM, sequence) for sequence in range(1, last + 1)]
    return [message.data or b"" for message in messages]


async def test_appends_keep_their_order_and_learn_their_sequences(client: Client) -> None:
    stream, count = BatchedStream(client), MAX_MESSAGES + 20
    found = await asyncio.gather(*(stream.append(f"try.{n}", str(n).encode()) for n in range(count)))
    assert found == list(range(1, count + 1))
    assert await stored(client) == [str(n).encode() for n in range(count)]


async def test_one_that_is_refused_does_not_take_the_others_with_it(client: Client) -> None:
    stream = BatchedStream(client)
    await stream.append("try.a", b"first")
    answers = await asyncio.gather(
        stream.append("try.a", b"too late", {names.EXPECTED_REVISION: "0"}),
        stream.append("try.b", b"new", {names.EXPECTED_REVISION: "0"}),
        stream.append("try.a", b"in time", {names.EXPECTED_REVISION: "1"}),
        return_exceptions=True,
    )
    refused, *accepted = answers
    assert isinstance(refused, APIError)
    assert refused.err_code == WRONG_LAST_SEQUENCE
    assert sorted(accepted) == [2, 3]
    assert sorted(await stored(client)) == sorted([b"first", b"new", b"in time"])


async def test_a_repeated_message_is_answered_with_its_first_sequence(client: Client) -> None:
    stream = BatchedStream(client)
    once = {names.MESSAGE_ID: "one"}
    first = await stream.append("try.a", b"one", once)
    again = await asyncio.gather(stream.append("try.a", b"one", once), stream.append("try.b", b"two"))
    assert again == [first, 2]
    assert await stored(client) == [b"one", b"two"]


async def test_who_gives_up_waiting_leaves_the_others_their_answers(client: Client) -> None:
    stream = BatchedStream(client)
    waiting = [asyncio.create_task(stream.append(f"try.{n}", b"x")) for n in range(10)]
    await asyncio.sleep(0)
    waiting[3].cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[3], asyncio.CancelledError)
    assert [answer for answer in answers if isinstance(answer, int)] == [1, 2, 3, 5, 6, 7, 8, 9, 10]


async def test_nothing_that_was_answered_is_lost_when_the_broker_is_killed(
    client: Client, nats_server: NatsServer
) -> None:
    stream, answered = BatchedStream(client), list[int]()

    async def append(number: int) -> None:
        try:
            await stream.append(f"try.{number}", str(number).encode(), {names.MESSAGE_ID: str(number)})
        except Exception:  # noqa: BLE001 - unanswered: nobody was promised anything
            return
        answered.append(number)

    async def flood() -> None:
        for start in range(0, 2_000, 50):
            await asyncio.gather(*(append(number) for number in range(start, start + 50)))

    flooding = asyncio.create_task(flood())
    while len(answered) < 500:  # noqa: ASYNC110 - the flood itself counts
        await asyncio.sleep(0)
    nats_server.kill()
    nats_server.start()
    await flooding
    there = set(await stored(client))
    assert [number for number in answered if str(number).encode() not in there] == []
