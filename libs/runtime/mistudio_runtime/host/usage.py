"""What a process and all that it has started take of their machine."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import psutil

from mistudio_runtime.host.devices import memory_held
from mistudio_runtime.host.sampler import Sampler

_SAMPLE_SECONDS = 2.0


@dataclass(frozen=True)
class Usage:
    """A sample."""

    rss_bytes: int = 0
    """Resident memory."""
    gpu_memory_bytes: int = 0
    """Memory of graphics processors."""


def own_usage() -> Sampler[Usage]:
    """Returns a sampler of what this process takes."""
    return Sampler("usage-sampler", lambda: usage(os.getpid()), Usage(), _SAMPLE_SECONDS)


def usage(pid: int) -> Usage:
    """Looks at a process and its descendants; nothing is taken by one that has ended."""
    rss, seen = 0, set()
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                rss += process.memory_info().rss
                seen.add(process.pid)
    return Usage(rss, memory_held(seen))
