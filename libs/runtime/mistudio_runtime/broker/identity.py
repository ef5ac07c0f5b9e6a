"""What stays the same of a home's embedded broker over restarts: its port and its password."""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mistudio_runtime.processes.private_files import read_json, write_private, write_private_json

USER = "mistudio"
MAX_PAYLOAD_BYTES = 8 * 2**20
ANY_PORT = -1
MAX_STORE = "1000TB"
"""More than any disk: the disk is the limit."""


@dataclass(frozen=True)
class BrokerIdentity:
    """Clients that reconnect after a restart, even one by a new owner, find the same address and password."""

    password: str
    port: int = ANY_PORT

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads the identity kept in the broker's folder, or makes a new one."""
        kept = read_json(folder / "identity.json") or {}
        port, password = kept.get("port", ANY_PORT), kept.get("password")
        if not isinstance(password, str) or not isinstance(port, int):
            return cls(secrets.token_urlsafe(24))
        return cls(password, port if _is_free(port) else ANY_PORT)

    @property
    def url(self) -> str:
        """Where clients connect, password included."""
        return f"nats://{USER}:{self.password}@127.0.0.1:{self.port}"

    def save(self, folder: Path) -> None:
        """Keeps the identity and writes the server's configuration file, both readable by their owner only."""
        write_private_json(folder / "identity.json", {"port": self.port, "password": self.password})
        write_private(folder / "nats.conf", self._configuration(folder))

    def _configuration(self, folder: Path) -> str:
        # sync_interval: without it a power failure loses what was acknowledged in the last two minutes.
        # max_file_store: without it a server that starts on a full disk keeps to three quarters of the room that there
        # was then, for ever.
        return f"""\
server_name: mistudio
listen: "127.0.0.1:{self.port}"
max_payload: {MAX_PAYLOAD_BYTES}
jetstream {{
  store_dir: {json.dumps(str(folder), ensure_ascii=False)}
  sync_interval: always
  max_file_store: {MAX_STORE}
}}
authorization {{
  user: {USER}
  password: {json.dumps(self.password)}
}}
"""


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", max(port, 0)))
        except (OSError, OverflowError):
            return False
    return True
