"""`manifest.json`: what an artifact is, where it comes from, and the checksum of every file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MANIFEST_NAME = "manifest.json"
MANIFEST_VERSION = 1
KINDS = ("dataset", "model", "tokens", "activations", "sae", "features", "report", "job_archive")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileEntry:
    """One file of an artifact."""

    path: str
    """Relative to the artifact's directory, with forward slashes."""
    bytes: int
    sha256: str

    @classmethod
    def of(cls, root: Path, file: Path) -> FileEntry:
        """Reads and describes a file under `root`."""
        digest = hashlib.sha256()
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return cls(file.relative_to(root).as_posix(), file.stat().st_size, digest.hexdigest())


@dataclass(frozen=True)
class ArtifactManifest:
    """What an artifact is. Written once, when it is committed."""

    id: str
    kind: str
    """One of KINDS."""
    create_time: float
    """Seconds since the epoch, UTC."""
    job_id: str
    parents: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    """What it was made with, as JSON."""
    summary: dict[str, Any] = field(default_factory=dict)
    """What was measured of it, as JSON."""
    files: tuple[FileEntry, ...] = ()
    version: int = MANIFEST_VERSION

    @property
    def name(self) -> str:
        """How to name it to people and to other tools: its own name, or its id."""
        return str(self.summary.get("name") or self.id)

    @property
    def bytes(self) -> int:
        """Size of all files, in bytes."""
        return sum(file.bytes for file in self.files)

    def to_json(self) -> str:
        """Returns the text of manifest.json."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ArtifactManifest:
        """Reads manifest.json. Raises ValueError or KeyError if it is not one."""
        data = json.loads(text)
        files = tuple(FileEntry(**entry) for entry in data.pop("files"))
        return cls(**{**data, "parents": tuple(data["parents"]), "files": files})
