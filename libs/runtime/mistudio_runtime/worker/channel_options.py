"""How a worker's channel to a gateway is set up."""

from __future__ import annotations

_PING_AFTER = 0.4
_GONE_AFTER = 0.3
_LEAST_GONE_SECONDS = 2.0
"""A machine with too much to do takes so long for an answer without being dead."""
_CONNECT_SECONDS = 3.0


def channel_options(ack_wait: float) -> tuple[tuple[str, int], ...]:
    """Returns the options of gRPC for a mesh with this ack_wait, in seconds.

    A gateway that hangs is left after 0.7 times ack_wait: well before the others take the worker for dead, at 1.5.
    """
    gone = max(_LEAST_GONE_SECONDS, ack_wait * _GONE_AFTER)
    return (
        ("grpc.keepalive_time_ms", round(1000 * ack_wait * _PING_AFTER)),
        ("grpc.keepalive_timeout_ms", round(1000 * gone)),
        # What ends a connection whose peer's kernel still answers; by itself it waits for a minute.
        ("grpc.http2.ping_timeout_ms", round(1000 * gone)),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 200),
        # Also how long a connection may take to be made: the kernel takes those to a process that hangs, too.
        ("grpc.min_reconnect_backoff_ms", round(1000 * _CONNECT_SECONDS)),
        ("grpc.max_reconnect_backoff_ms", 3_000),
        ("grpc.enable_http_proxy", 0),  # gRPC would use http_proxy even for the loopback
    )
