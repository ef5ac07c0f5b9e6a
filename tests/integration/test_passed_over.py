"""A message that the broker counts as acknowledged and has not taken out: its job gets another one."""

from __future__ import annotations

import shutil
from pathlib import Path

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from mistudio_gateway.dispatcher import Dispatcher
from mistudio_runtime.broker import names
from mistudio_runtime.broker.connection import connect
from mistudio_runtime.broker.provision import provision
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings
from support.broker import NatsServer
from support.gateway_parts import queued
from support.waiting import eventually

_CONSUMER = names.consumer("low_priority", 1)


async def test_a_queued_job_whose_message_is_passed_over_gets_another_one(nats_server: NatsServer) -> None:
    held, passed = queued("job-held"), queued("job-passed")
    held.priority = passed.priority = 1
    client = await connect(nats_server.url, "test")
    js = client.jetstream()
    await provision(js, load_queues(), Settings())
    dispatcher = Dispatcher(client, js)
    for job in (held, passed):
        await dispatcher.enqueue(job)
    first, second = await _pull(client), await _pull(client)
    copies = _copies_of_messages(nats_server)
    await eventually(lambda: _answers(client), what="the broker is back")
    await second.ack_sync()
    _put_back(nats_server, copies)
    await eventually(lambda: _answers(client), what="the broker is back")
    assert await dispatcher.has_message(passed)
    assert not await dispatcher.replace_unreachable(passed)  # what is before it is under way: nobody can know yet
    await first.ack_sync()

    async def replaced() -> bool:
        return await dispatcher.replace_unreachable(passed)

    await eventually(replaced, what="the message is replaced")
    assert names.job_of_subject((await _pull(client)).subject) == passed.id
    assert not await dispatcher.replace_unreachable(passed)
    await client.close()


async def _answers(client: Client) -> bool:
    try:
        await client.jetstream().consumer_info(names.JOBS_STREAM, _CONSUMER)
    except Error:
        return False
    return True


async def _pull(client: Client) -> Msg:
    pulling = await client.jetstream().pull_subscribe_bind(_CONSUMER, names.JOBS_STREAM)
    (message,) = await pulling.fetch(1, timeout=10)
    await pulling.unsubscribe()
    return message


def _copies_of_messages(server: NatsServer) -> dict[Path, Path]:
    """Keeps what the stream holds, as it is on disk when all is written."""
    server.stop()
    (folder,) = server.store.glob(f"jetstream/*/streams/{names.JOBS_STREAM}/msgs")
    copies = {folder: server.store / "kept"}
    for original, copy in copies.items():
        shutil.copytree(original, copy)
    server.start()
    return copies


def _put_back(server: NatsServer, copies: dict[Path, Path]) -> None:
    """Leaves consumers as they are and messages as they were: what a kill between the two leaves."""
    server.stop()
    for original, copy in copies.items():
        shutil.rmtree(original)
        shutil.copytree(copy, original)
    server.start()
