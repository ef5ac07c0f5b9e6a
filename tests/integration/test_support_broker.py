"""The tests' own broker: what later tests stand on."""

from __future__ import annotations

import nats
from nats.js.api import StreamConfig

from support.broker import NatsServer
from support.waiting import eventually


async def test_a_restart_keeps_port_and_store(nats_server: NatsServer) -> None:
    url = nats_server.url
    connection = await nats.connect(url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
    stream = connection.jetstream()
    await stream.add_stream(StreamConfig(name="S", subjects=["s"]))
    await stream.publish("s", b"kept")
    nats_server.restart()
    await eventually(lambda: connection.is_connected and connection.stats["reconnects"] == 1)
    assert nats_server.url == url
    assert (await stream.stream_info("S")).state.messages == 1
    await connection.close()
