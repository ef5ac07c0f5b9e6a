"""Which gateway is called where there are several. Knows nothing of sockets but their options."""

from __future__ import annotations

import random

import grpc

from mistudio._status import status_of
from mistudio.channel import OPTIONS

CONNECT_SECONDS = 2.0
"""Within which a gateway that is there takes a connection."""
DECIDED = (
    grpc.ChannelConnectivity.READY,
    grpc.ChannelConnectivity.TRANSIENT_FAILURE,
    grpc.ChannelConnectivity.SHUTDOWN,
)
"""States in which a channel has a connection, or could not get one."""
_BY_ADDRESS = ("ipv4:", "ipv6:", "unix:")
"""Schemes of gRPC whose targets may hold commas of their own."""
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
_NOTICE_A_HANG = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
)
"""A gateway that hangs keeps its connections; where another one could answer, that must be noticed."""
_NOTICE_A_START = (("grpc.max_reconnect_backoff_ms", 500),)
"""One that was away when it was first looked at may be the only one by now: within the time of a few attempts."""


def gateways_of(address: str) -> list[str]:
    """Returns each gateway that an address names: "host:port", several of them with commas, or a target of gRPC."""
    if address.startswith(_BY_ADDRESS):
        return [address]
    return [one.strip() for one in address.split(",") if one.strip()] or [address]


class Gateways:
    """One of several gateways, until it stops answering; then the next one. Safe to share between threads."""

    def __init__(self, address: str) -> None:
        """Takes what `gateways_of` takes; begins with any of them, so that clients spread."""
        found = gateways_of(address)
        self._addresses = random.sample(found, len(found))
        self._current = 0

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def current(self) -> str:
        """The one to call now."""
        return self._addresses[self._current % len(self._addresses)]

    @property
    def options(self) -> tuple[tuple[str, int], ...]:
        """Options of a channel to one of them."""
        return tuple(dict(OPTIONS + _NOTICE_A_HANG + _NOTICE_A_START).items()) if len(self) > 1 else OPTIONS

    def leave(self, address: str) -> None:
        """Goes on to the next gateway, unless another thread has done so already."""
        if self.current == address:
            self._current += 1

    def note(self, address: str, error: grpc.RpcError) -> None:
        """Leaves a gateway whose answer says that it, or what is behind it, is not there."""
        if status_of(error) in _GONE:
            self.leave(address)
