"""How a channel to a gateway is set up."""

from __future__ import annotations

import os

DEFAULT_GATEWAY = "localhost:50051"

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),  # a page of 1,000 features with their examples
    ("grpc.initial_reconnect_backoff_ms", 100),  # a gateway that restarts is back in a second
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def gateway_address(address: str | None) -> str:
    """Returns the address to call, or several: the one given, else $MISTUDIO_GATEWAY, else localhost:50051."""
    return address or os.environ.get("MISTUDIO_GATEWAY") or DEFAULT_GATEWAY
