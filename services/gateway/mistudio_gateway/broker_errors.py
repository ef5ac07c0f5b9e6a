"""What the broker's client raises when the broker does not answer, as one error of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
from nats.js.errors import NoStreamResponseError, ServiceUnavailableError

from mistudio_runtime.errors import UnavailableError

NO_ANSWER = (
    nats.errors.TimeoutError,
    nats.errors.NoRespondersError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.StaleConnectionError,
    NoStreamResponseError,
    ServiceUnavailableError,
)
"""Whether the broker did what it was asked is unknown after any of these."""

OVERTAKEN = frozenset((10071, 10164))
"""Codes of a write that named an older message than the last one, or one that others are just writing behind."""


@contextmanager
def broker_answers() -> Iterator[None]:
    """Turns a missing answer into UnavailableError, so that the caller tries again."""
    try:
        yield
    except NO_ANSWER as error:
        raise UnavailableError("the message broker does not answer; try again in a moment") from error
