"""Watches what a process tree takes."""

from __future__ import annotations

import contextlib

import psutil


def resident_bytes(pid: int) -> int:
    """Returns the resident memory of a process and its descendants, in bytes; 0 if it has ended."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
    return total
