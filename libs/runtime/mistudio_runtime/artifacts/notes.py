"""What people wrote about an artifact: it may change, so it lies beside the immutable artifact, not in it."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mistudio_runtime.artifacts.store import ArtifactStore

_LOCK = ".lock"


@dataclass(frozen=True)
class FeatureNotes:
    """What a person wrote about one latent."""

    label: str = ""
    """What the person called it."""
    starred: bool = False
    """Whether the person wants to find it again."""


@dataclass(frozen=True)
class ArtifactNotes:
    """What people wrote about one artifact; empty until somebody does."""

    display_name: str = ""
    """A name for people."""
    description: str = ""
    """A description for people."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels for finding it again."""
    features: Mapping[int, FeatureNotes] = field(default_factory=dict)
    """Notes about single latents, by index."""

    def to_json(self) -> str:
        """Returns the text of the notes file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ArtifactNotes:
        """Reads a notes file. Raises ValueError, KeyError or TypeError if it is not one."""
        data = json.loads(text)
        features = {int(latent): FeatureNotes(**note) for latent, note in data.pop("features").items()}
        return cls(**data, features=features)


def read_notes(store: ArtifactStore, artifact_id: str) -> ArtifactNotes:
    """Returns the notes about an artifact, empty ones if nobody wrote any; never half-written ones."""
    try:
        return ArtifactNotes.from_json(store.notes_path(artifact_id).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ArtifactNotes()


def edit_notes(
    store: ArtifactStore, artifact_id: str, change: Callable[[ArtifactNotes], ArtifactNotes]
) -> ArtifactNotes:
    """Replaces the notes by what `change` makes of them; edits by other threads and processes wait, none is lost.

    Returns the new notes. Raises NotFoundError if there is no such artifact.
    """
    path = store.notes_path(artifact_id)
    with _locked(path.parent):
        store.path(artifact_id)
        notes = change(read_notes(store, artifact_id))
        _replace(path, notes.to_json())
    return notes


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # One lock for all artifacts: edits take microseconds, and a lock file each would outlive its artifact.
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _replace(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
