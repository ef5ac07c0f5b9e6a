"""Tells systemd, if it asked, that a service is ready."""

from __future__ import annotations

import os
import socket

_VARIABLE = "NOTIFY_SOCKET"


def announce_ready() -> None:
    """Says READY=1 where a service manager listens (NOTIFY_SOCKET, sd_notify's protocol); does nothing elsewhere.

    Raises OSError if the service manager named a socket that cannot be reached.
    """
    if not (address := os.environ.get(_VARIABLE)):
        return
    # A leading @ stands for the zero byte of Linux's abstract addresses, which no variable can hold.
    where = f"\0{address[1:]}" if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(b"READY=1", where)
