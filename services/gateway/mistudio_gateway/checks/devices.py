"""Which worker has which graphics processor."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio_runtime.findings import Finding, fine
from mistudio_runtime.findings.devices import judge_devices
from mistudio_runtime.findings.text import listed

CHECK = "devices"


def check_devices(workers: Sequence[v1.WorkerStatus]) -> list[Finding]:
    """Judges each host's processors once, in the name of the workers there."""
    hosts: dict[tuple[str, str, tuple[str, ...]], list[v1.WorkerStatus]] = {}
    for status in workers:
        names = tuple(device.name for device in status.host_status.devices)
        hosts.setdefault((status.worker.host, status.host_status.device_problem, names), []).append(status)
    telling = [there for (_, problem, names), there in hosts.items() if problem or names]
    found = [judge_devices(CHECK, there[0].host_status, _who(there)) for there in telling]
    return found or [fine(CHECK, "No worker has a GPU, so training runs on the CPU.")]


def _who(workers: Sequence[v1.WorkerStatus]) -> str:
    return listed([status.worker.name for status in workers])
