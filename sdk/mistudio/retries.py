"""The one place that decides whether a failed call is made again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from mistudio._status import status_of, to_exception
from mistudio.calls.call import Call
from mistudio.gateways import gateways_of


@dataclass(frozen=True)
class RetryPolicy:
    """How often a call that is safe to repeat is made again while no gateway answers."""

    attempts: int = 5
    """Calls in all, the first included; at each gateway, where there are several."""
    first_delay: float = 0.1
    """Seconds before the second call; each later delay is twice the one before."""
    largest_delay: float = 2.0
    """No delay is longer, in seconds."""
    patience: float = 60.0
    """Seconds that a watch goes on reconnecting while no gateway answers."""

    def delay(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Returns the seconds to wait after so many failures: exponential, the upper half of it by chance."""
        ceiling = min(self.largest_delay, self.first_delay * 2.0 ** min(failures - 1, 30))
        return ceiling * (0.5 + 0.5 * draw())


class Trial:
    """One call from its first attempt to its last, within one deadline."""

    def __init__(self, call: Call[Any], address: str, policy: RetryPolicy, timeout: float) -> None:
        """Takes the call and the seconds that it may take in all unless it says itself."""
        self._repeatable = call.repeatable
        self._address = address
        self._policy = policy
        self._gateways = len(gateways_of(address))
        self._deadline = time.monotonic() + (timeout if call.timeout is None else call.timeout)
        self._failures = 0

    def remaining(self) -> float:
        """Returns the seconds that are left; never less than a millisecond, so that gRPC says itself what is over."""
        return max(0.001, self._deadline - time.monotonic())

    def delay_after(self, error: grpc.RpcError) -> float:
        """Returns the seconds to wait before the next attempt. Raises the SDK's exception if there is none."""
        self._failures += 1
        rounds = self._failures // self._gateways
        delay = self._policy.delay(max(1, rounds))
        hopeless = not self._repeatable or status_of(error) is not grpc.StatusCode.UNAVAILABLE
        if hopeless or rounds >= self._policy.attempts or delay >= self.remaining():
            raise to_exception(error, self._address) from None
        return delay
