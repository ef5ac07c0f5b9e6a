"""Three real nats-servers that replicate their streams among them, and ways to hurt each of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import nats
import nats.errors

from support.broker import NatsServer
from support.mesh import free_port
from support.waiting import eventually

NAMES = ("nats-1", "nats-2", "nats-3")
_CONFIGURATION = """
server_name: {name}
jetstream {{ sync_interval: always }}
cluster {{ name: mistudio, listen: "127.0.0.1:{own}", routes: [{routes}] }}
"""


class NatsCluster:
    """A JetStream cluster on this machine, each server with a port and a store of its own."""

    def __init__(self, folder: Path) -> None:
        """Takes an empty folder for the servers' files."""
        self.servers: dict[str, NatsServer] = {}
        routes = {name: free_port() for name in NAMES}
        for name in NAMES:
            store = folder / name
            store.mkdir()
            others = ", ".join(f'"nats://127.0.0.1:{port}"' for other, port in routes.items() if other != name)
            config = _CONFIGURATION.format(name=name, own=routes[name], routes=others)
            self.servers[name] = NatsServer(store, config=config)
            self.servers[name].port = free_port()

    @property
    def url(self) -> str:
        """Where clients connect: every server, with commas."""
        return self.url_of(NAMES)

    def url_of(self, names: Iterable[str]) -> str:
        """Returns where clients connect to some of the servers only."""
        return ",".join(self.servers[name].url for name in names)

    async def start(self) -> Self:
        """Starts all servers and returns when they have elected who leads them."""
        for server in self.servers.values():
            server.start()
        await eventually(self._is_led, what="the cluster has a leader")
        return self

    def stop(self) -> None:
        """Stops whatever runs."""
        for server in self.servers.values():
            server.stop()

    async def leader(self, stream: str) -> str:
        """Returns which server leads a stream; waits while none does."""
        return str((await self._led(stream))["leader"])

    async def followers(self, stream: str) -> list[str]:
        """Returns the servers that follow a stream's leader."""
        leader = await self.leader(stream)
        return [name for name in NAMES if name != leader]

    async def until_whole(self, stream: str) -> None:
        """Waits until every server has the stream as its leader has it."""

        async def whole() -> bool:
            replicas = (await self._led(stream)).get("replicas") or []
            return len(replicas) == len(NAMES) - 1 and all(one.get("current") for one in replicas)

        await eventually(whole, what=f"{stream} is whole", period=0.1)

    async def _led(self, stream: str) -> dict[str, Any]:
        async def led() -> dict[str, Any]:
            info = await self._ask(f"$JS.API.STREAM.INFO.{stream}")
            return info.get("cluster", {}) if info.get("cluster", {}).get("leader") else {}

        return await eventually(led, what=f"{stream} has a leader", period=0.1)

    async def _is_led(self) -> bool:
        return "error" not in (await self._ask("$JS.API.INFO") or {"error": {}})

    async def _ask(self, subject: str) -> dict[str, Any]:
        try:
            client = await nats.connect(self.url.split(","), allow_reconnect=False, connect_timeout=1)
        except (nats.errors.Error, OSError):
            return {}
        try:
            answer: dict[str, Any] = json.loads((await client.request(subject, timeout=1)).data)
        except nats.errors.Error:
            return {}
        else:
            return answer
        finally:
            await client.close()
