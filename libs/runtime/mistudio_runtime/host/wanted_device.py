"""Whether this machine has the device that a worker is told to compute on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from mistudio_runtime.device_kinds import DEVICE_KINDS
from mistudio_runtime.host.devices import device_problem, devices, torch_version

log = structlog.get_logger(__name__)


class DeviceError(Exception):
    """This machine does not have the device; the message says what it has."""


def check_device(wanted: str, job_kinds: Iterable[str]) -> None:
    """Checks a worker's own device before it takes jobs that would fail on it. Raises DeviceError.

    A worker none of whose job kinds computes on a device may be told of any: it shares its settings with others. Where
    nobody can tell which devices there are, a line in the log says so.
    """
    if not wanted.startswith("cuda") or not DEVICE_KINDS.intersection(job_kinds):
        return
    if "rocm" in torch_version():  # its processors are called cuda too, and NVIDIA's library does not know them
        log.warning("whether this machine has the device cannot be told", device=wanted)
        return
    if problem := missing(wanted, [device.name for device in devices()], device_problem()):
        raise DeviceError(problem)


def missing(wanted: str, there: Sequence[str], problem: str) -> str:
    """Says why `wanted` cannot be used on a machine that has the devices `there`; empty if it can."""
    if problem:
        why = problem
    elif wanted in there or (wanted == "cuda" and there):
        return ""
    else:
        has = ", ".join(there) if there else "no NVIDIA processor that this process may use"
        why = f"this machine has {has}"
    return f"--device {wanted} (MISTUDIO_DEVICE): {why}; name another one, or none. `mistudio doctor` tells more."
