"""Parts of the files of artifacts, for whoever does not see the store's disk."""

from __future__ import annotations

from pathlib import Path

from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import InvalidRequestError, NotFoundError, Violation

DEFAULT_BYTES = 2**20
MOST_BYTES = 4 * 2**20


def read_part(store: ArtifactStore, artifact_id: str, path: str, *, offset: int, max_bytes: int) -> tuple[bytes, int]:
    """Returns at most `max_bytes` (0: DEFAULT_BYTES) from `offset` of a file, empty at its end, and the file's size.

    Only what the manifest lists can be read. Raises NotFoundError for another artifact or path, InvalidRequestError
    for an offset behind the end.
    """
    file, size = _listed(store, artifact_id, path)
    if offset > size:
        raise InvalidRequestError([Violation("offset", f"{path} ends after {size} bytes")])
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(min(max_bytes or DEFAULT_BYTES, MOST_BYTES)), size


def _listed(store: ArtifactStore, artifact_id: str, path: str) -> tuple[Path, int]:
    # Compared with the manifest and never resolved: no path that a client sends may leave the artifact.
    manifest = store.get(artifact_id)
    for entry in manifest.files:
        if entry.path == path:
            return store.path(artifact_id) / entry.path, entry.bytes
    raise NotFoundError(f"{artifact_id} has no such file; `mistudio artifacts show {artifact_id}` lists what it has")
