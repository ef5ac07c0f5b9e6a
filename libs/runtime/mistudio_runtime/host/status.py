"""What a worker tells of its machine with each heartbeat."""

from __future__ import annotations

from pathlib import Path

from mistudio import v1
from mistudio_runtime.host.devices import device_problem, devices
from mistudio_runtime.host.disks import HOME, MODEL_CACHE, disk, model_cache
from mistudio_runtime.host.sampler import Sampler

_SAMPLE_SECONDS = 5.0


class HostSampler:
    """What the machine is like, as it was a few seconds ago at most, with the time of now."""

    def __init__(self, home: Path) -> None:
        """Takes the data home."""
        self._sampler = Sampler("host-sampler", lambda: sample(home), v1.HostStatus(), _SAMPLE_SECONDS)

    def status(self) -> v1.HostStatus:
        """Returns the latest sample with the time of now. The first call waits a moment for one, the others never."""
        status = v1.HostStatus()
        status.CopyFrom(self._sampler.latest())
        status.time.GetCurrentTime()
        return status


def sample(home: Path) -> v1.HostStatus:
    """Looks at the machine; `time` is left empty."""
    disks = [disk(HOME, home), disk(MODEL_CACHE, model_cache())]
    return v1.HostStatus(disks=disks, devices=devices(), device_problem=device_problem())
