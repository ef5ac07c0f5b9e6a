"""This machine's graphics processors, and whether the installed torch can use them."""

from __future__ import annotations

from mistudio import v1
from mistudio_runtime.findings import Finding
from mistudio_runtime.findings.devices import judge_devices
from mistudio_runtime.host.devices import device_problem, devices, torch_version

CHECK = "GPU"


def check_gpu() -> Finding:
    """Judges the processors that CUDA_VISIBLE_DEVICES leaves."""
    status = v1.HostStatus(devices=devices(), device_problem=device_problem())
    judged = judge_devices(CHECK, status, "This machine")
    torch = torch_version()
    if judged.severity == v1.SEVERITY_OK:
        judged.message = f"{judged.message[:-1]} ({f'torch {torch}' if torch else 'torch is not installed'})."
    return judged
