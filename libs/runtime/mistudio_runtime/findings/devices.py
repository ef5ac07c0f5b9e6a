"""Which graphics processors there are, and why they cannot be used."""

from __future__ import annotations

from mistudio import v1
from mistudio_runtime.findings.finding import Finding, fine, warning
from mistudio_runtime.findings.text import listed, size


def judge_devices(check: str, status: v1.HostStatus, who: str) -> Finding:
    """Judges the processors of a machine; `who` has them, e.g. "trainer@host-1"."""
    if status.device_problem:
        return warning(
            check, f"{who} cannot use the GPU: {status.device_problem}.", repair_command(status.device_problem)
        )
    if not status.devices:
        return fine(check, f"{who} has no GPU, so training runs on its CPU.")
    return fine(check, f"{who} can use {listed([_device(one) for one in status.devices])}.")


def repair_command(problem: str) -> str:
    """Returns what helps against a device_problem."""
    if "torch" in problem:
        return "pip install --force-reinstall --no-deps torch --index-url https://download.pytorch.org/whl/cu126"
    return "nvidia-smi"


def _device(device: v1.Device) -> str:
    free = f"{size(device.free_memory_bytes)} of {size(device.total_memory_bytes)} free"
    return f"{device.name} ({device.model}, {free})"
