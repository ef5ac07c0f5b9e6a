"""Times in messages, where there are thousands a second."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY = 86_400


def set_to_now(stamp: Timestamp) -> None:
    """Sets a time of a message to now: what the message's own method does, without its checks and conversions."""
    stamp.seconds, stamp.nanos = divmod(time.time_ns(), _SECOND)


def set_time(stamp: Timestamp, moment: datetime) -> None:
    """Sets a time of a message to one that has a time zone, exact to the microsecond, at a fifth of the usual cost."""
    since = moment - _EPOCH
    stamp.seconds = since.days * _SECONDS_A_DAY + since.seconds
    stamp.nanos = since.microseconds * 1_000
