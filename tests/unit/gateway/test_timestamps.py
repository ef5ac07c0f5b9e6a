"""Times in messages."""

from __future__ import annotations

import time

from google.protobuf.timestamp_pb2 import Timestamp

from mistudio_gateway.timestamps import set_to_now


def test_now_is_now() -> None:
    stamp = Timestamp()
    before = time.time_ns()
    set_to_now(stamp)
    assert before <= stamp.ToNanoseconds() <= time.time_ns()
