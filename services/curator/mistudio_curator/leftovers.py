"""What crashed and finished jobs leave behind on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mistudio_runtime.artifacts import ArtifactStore

CHECKPOINTS = "checkpoints"
_DRAFT = re.compile(r"[a-z_]+-(?P<job>[a-z0-9]+)-[0-9]+\.[0-9]+")


@dataclass(frozen=True)
class Leftover:
    """A folder that can go once its job has ended."""

    path: Path
    what: str
    """"draft", "trash", "scratch" or "checkpoints"."""
    job_id: str
    """The job that it belongs to; empty if it belongs to none."""
    modified: float
    """When the newest file in it changed, in seconds since the epoch."""
    bytes: int

    @classmethod
    def of(cls, path: Path, what: str, job_id: str = "") -> Leftover:
        """Measures a folder; files that vanish meanwhile count nothing."""
        stats = [stat for entry in [path, *path.rglob("*")] if (stat := _stat(entry))]
        times, sizes = [stat[0] for stat in stats], [stat[1] for stat in stats]
        return cls(path, what, job_id, max(times, default=0.0), sum(sizes))


def drafts(store: ArtifactStore) -> Iterator[Leftover]:
    """Finds artifacts that were begun and not committed."""
    for folder in sorted(store.drafts.iterdir()):
        match = _DRAFT.fullmatch(folder.name)
        yield Leftover.of(folder, "draft", f"job-{match['job']}" if match else "")


def trash(store: ArtifactStore) -> Iterator[Leftover]:
    """Finds deleted artifacts whose files are still there."""
    return (Leftover.of(folder, "trash") for folder in sorted(store.trash.iterdir()))


def scratch(root: Path) -> Iterator[Leftover]:
    """Finds the scratch folders of jobs."""
    return (Leftover.of(folder, "scratch", folder.name) for folder in sorted(root.glob("*")) if folder.is_dir())


def checkpoints(root: Path) -> Iterator[Leftover]:
    """Finds the checkpoints in the scratch folders of jobs."""
    folders = sorted(root.glob(f"*/{CHECKPOINTS}"))
    return (Leftover.of(folder, CHECKPOINTS, folder.parent.name) for folder in folders)


def _stat(path: Path) -> tuple[float, int] | None:
    try:
        stat = path.lstat()
    except FileNotFoundError:
        return None
    # What counts is when it came here: a copied or renamed file keeps its old mtime.
    return max(stat.st_mtime, stat.st_ctime), 0 if path.is_dir() else stat.st_size
