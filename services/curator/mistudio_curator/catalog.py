"""What the store holds, as people ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mistudio.v1 import Artifact, ArtifactKind
from mistudio_curator.artifact_file import read_part
from mistudio_curator.artifact_message import artifact_message, kind_name
from mistudio_curator.page_token import Position
from mistudio_runtime.artifacts import ArtifactManifest, ArtifactStore
from mistudio_runtime.artifacts.notes import read_notes
from mistudio_runtime.errors import InvalidRequestError, Violation

DEFAULT_PAGE = 50
LARGEST_PAGE = 1000


@dataclass(frozen=True)
class ListQuery:
    """Which artifacts to list."""

    kinds: Sequence[ArtifactKind.ValueType] = ()
    """Only these kinds; empty takes all."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Only artifacts with all of these labels."""
    page_size: int = 0
    """At most so many; 0 is DEFAULT_PAGE, more than LARGEST_PAGE is LARGEST_PAGE."""
    page_token: str = ""
    """Where the page before ended; empty begins with the newest."""


class Catalog:
    """Reads the store, with people's notes joined in."""

    def __init__(self, store: ArtifactStore) -> None:
        """Takes the store."""
        self._store = store

    def page(self, query: ListQuery) -> tuple[list[Artifact], str]:
        """Returns one page, newest first and without files, and the token of the next page ("" on the last).

        Raises InvalidRequestError for a negative page size or a page token that is none.
        """
        if query.page_size < 0:
            raise InvalidRequestError([Violation("page_size", "give 0 for the default, or a positive number")])
        size = min(query.page_size or DEFAULT_PAGE, LARGEST_PAGE)
        shown: list[Artifact] = []
        last = Position(0.0, "")
        for manifest in self._after(query):
            message = self._message(manifest)
            if not query.labels.items() <= dict(message.labels).items():
                continue
            if len(shown) == size:
                return shown, last.to_token()
            shown.append(message)
            last = _position(manifest)
        return shown, ""

    def get(self, artifact_id: str) -> tuple[Artifact, list[str]]:
        """Returns an artifact with its files, and the ids of what was made from it. Raises NotFoundError."""
        manifest = self._store.get(artifact_id)
        return self._message(manifest, with_files=True), [*self._store.children(artifact_id)]

    def read_file(self, artifact_id: str, path: str, *, offset: int, max_bytes: int) -> tuple[bytes, int]:
        """Returns a part of a file and the file's size; see `read_part`."""
        return read_part(self._store, artifact_id, path, offset=offset, max_bytes=max_bytes)

    def _after(self, query: ListQuery) -> Iterator[ArtifactManifest]:
        kinds = {kind_name(kind) for kind in query.kinds if kind in ArtifactKind.values()}  # a newer client knows more
        found = [manifest for manifest in self._store.list() if not query.kinds or manifest.kind in kinds]
        found.sort(key=_position, reverse=True)
        start = Position.from_token(query.page_token) if query.page_token else None
        return (manifest for manifest in found if start is None or _position(manifest) < start)

    def _message(self, manifest: ArtifactManifest, *, with_files: bool = False) -> Artifact:
        folder = self._store.root / manifest.id
        return artifact_message(manifest, read_notes(self._store, manifest.id), folder, with_files=with_files)


def _position(manifest: ArtifactManifest) -> Position:
    return Position(manifest.create_time, manifest.id)
