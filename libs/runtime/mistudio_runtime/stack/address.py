"""The gateway's address, and who has it if it is taken."""

from __future__ import annotations

import errno
import socket

import psutil

_EVERYWHERE = {"", "0.0.0.0", "::", "[::]", "*"}  # noqa: S104 - recognised, not bound to


class AddressError(Exception):
    """The gateway cannot listen where it should; the message says why."""


def fix_address(listen: str) -> str:
    """Returns `listen` with a free port in place of port 0. Raises AddressError if it is taken or malformed."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal():
        raise AddressError(f"MISTUDIO_LISTEN={listen} is not HOST:PORT")
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    # Without SO_REUSEPORT, which gRPC sets: with it a second gateway would silently share the port.
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("" if name == "*" else name, int(port)))
        except (OSError, OverflowError) as error:
            raise AddressError(_refusal(listen, int(port), error)) from error
        return f"{host}:{probe.getsockname()[1]}"


def client_address(listen: str) -> str:
    """Returns where clients on this machine reach a server that listens there."""
    host, _, port = listen.rpartition(":")
    return f"127.0.0.1:{port}" if host in _EVERYWHERE else listen


def _refusal(listen: str, port: int, error: Exception) -> str:
    if not isinstance(error, OSError) or error.errno != errno.EADDRINUSE:
        return f"the gateway cannot listen on {listen}: {error}"
    owner = listener(port)
    who = f" by process {owner.pid} ({' '.join(owner.cmdline())[:120]})" if owner else ""
    return f"{listen} is already taken{who}; stop that, or choose another address with MISTUDIO_LISTEN"


def listener(port: int) -> psutil.Process | None:
    """Returns the process that listens on a TCP port of this machine, if there is one that may be seen."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                return psutil.Process(connection.pid) if connection.pid else None
    except psutil.Error:
        return None  # some systems show other processes to root only
    return None
