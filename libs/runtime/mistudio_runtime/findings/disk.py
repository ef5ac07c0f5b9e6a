"""Whether a disk has room enough and may be written."""

from __future__ import annotations

from mistudio import v1
from mistudio_runtime.findings.finding import Finding, fine, problem, warning
from mistudio_runtime.findings.text import size
from mistudio_runtime.host.disks import MODEL_CACHE

LITTLE_BYTES = 5 * 2**30
LITTLE_SHARE = 0.05
"""Less room than either is worth a warning: a model and its checkpoints fill the rest within a day."""
TOO_LITTLE_BYTES = 2**30
"""With less room the next artifact, or the broker's next write, may fail."""


def judge_disk(check: str, disk: v1.Disk, where: str = "") -> Finding:
    """Judges a folder's disk; `where` says whose it is, e.g. " of host-1"."""
    folder = f"the {disk.purpose}{where}, {disk.path},"
    if not disk.total_bytes:
        return problem(check, f"The disk of {folder} cannot be looked at.", f"ls -ld {disk.path}")
    if not disk.writable:
        return problem(check, f"Nothing can be written to {folder[:-1]}.", f"ls -ld {disk.path}")
    room = f"{size(disk.free_bytes)} of {size(disk.total_bytes)}"
    if disk.free_bytes < TOO_LITTLE_BYTES:
        return problem(check, f"The disk of {folder} is full: only {room} are free.", f"du -sh {disk.path}/* | sort -h")
    if disk.free_bytes < max(LITTLE_BYTES, LITTLE_SHARE * disk.total_bytes):
        return warning(check, f"The disk of {folder} gets full: {room} are free.", _make_room(disk))
    return fine(check, f"The disk of {folder} has {room} free.")


def _make_room(disk: v1.Disk) -> str:
    return "hf cache prune" if disk.purpose == MODEL_CACHE else "mistudio submit collect_garbage --watch"
