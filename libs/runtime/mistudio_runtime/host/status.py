"""What a worker tells of its machine with each heartbeat."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import structlog

from mistudio import v1
from mistudio_runtime.host.devices import device_problem, devices
from mistudio_runtime.host.disks import HOME, MODEL_CACHE, disk, model_cache

log = structlog.get_logger(__name__)

_SAMPLE_SECONDS = 5.0
_FIRST_SECONDS = 0.3


class HostSampler:
    """Keeps a sample a few seconds old at most, taken by a thread: a network disk may hang, a heartbeat may not."""

    def __init__(self, home: Path) -> None:
        """Takes the data home."""
        self._home = home
        self._sample = v1.HostStatus()
        self._asked = float("-inf")
        self._thread: threading.Thread | None = None

    def status(self) -> v1.HostStatus:
        """Returns the latest sample with the time of now. The first call waits a moment for one, the others never."""
        if time.monotonic() - self._asked > _SAMPLE_SECONDS:
            self._refresh()
        status = v1.HostStatus()
        status.CopyFrom(self._sample)
        status.time.GetCurrentTime()
        return status

    def _refresh(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        first, self._asked = self._thread is None, time.monotonic()
        self._thread = threading.Thread(target=self._take, name="host-sampler", daemon=True)
        self._thread.start()
        if first:
            self._thread.join(_FIRST_SECONDS)

    def _take(self) -> None:
        try:
            self._sample = sample(self._home)
        except Exception:  # the boundary of a thread: heartbeats go on with the sample before
            log.exception("the machine cannot be looked at")


def sample(home: Path) -> v1.HostStatus:
    """Looks at the machine; `time` is left empty."""
    disks = [disk(HOME, home), disk(MODEL_CACHE, model_cache())]
    return v1.HostStatus(disks=disks, devices=devices(), device_problem=device_problem())
