"""Room and permissions of the folders that a process writes to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from mistudio import v1

HOME = "home"
MODEL_CACHE = "model cache"


def disk(purpose: str, folder: Path) -> v1.Disk:
    """Looks at the disk under a folder; one that does not exist yet is judged by its nearest existing parent.

    A disk that cannot be looked at has no room and is not writable. May wait as long as a network disk does.
    """
    found = v1.Disk(purpose=purpose, path=str(folder))
    existing = nearest_existing(folder)
    try:
        usage = shutil.disk_usage(existing)
    except OSError:
        return found
    found.total_bytes, found.free_bytes = usage.total, usage.free
    # A file where a folder should be can be written, and does not help.
    found.writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    return found


def nearest_existing(path: Path) -> Path:
    """Returns the path, or the first of its parents that exists."""
    candidates = (path, *path.parents)
    return next((candidate for candidate in candidates if _exists(candidate)), candidates[-1])


def model_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Returns where the hub's client keeps models, by its own rules and without importing it.

    HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else hub/ in HF_HOME, else in huggingface/ of XDG_CACHE_HOME or ~/.cache.
    """
    default = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    home = environment.get("HF_HOME") or str(default)
    named = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    return Path(os.path.expandvars(named)).expanduser().absolute()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # not even to be looked at
        return False
