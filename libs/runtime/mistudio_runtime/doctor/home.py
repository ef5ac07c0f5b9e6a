"""The data home: there, writable, with room."""

from __future__ import annotations

from pathlib import Path

from mistudio import v1
from mistudio_runtime.findings import Finding, fine
from mistudio_runtime.findings.disk import judge_disk
from mistudio_runtime.findings.text import size
from mistudio_runtime.host.disks import HOME, disk

CHECK = "home"


def check_home(home: Path) -> Finding:
    """Judges the home; one that is not there yet is made by the first start."""
    looked_at = disk(HOME, home)
    judged = judge_disk(CHECK, looked_at)
    if judged.severity == v1.SEVERITY_OK and not home.exists():
        room = size(looked_at.free_bytes)
        return fine(CHECK, f"The data home {home} is not there yet; mistudio up makes it, and there is room ({room}).")
    return judged
