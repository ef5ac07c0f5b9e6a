"""The artifact store on a file system."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mistudio_runtime.artifacts.draft import ArtifactDraft
from mistudio_runtime.artifacts.manifest import KINDS, MANIFEST_NAME, ArtifactManifest
from mistudio_runtime.errors import FailedPreconditionError, NotFoundError

_ID = re.compile(r"[a-z][a-z0-9_]{0,31}-[a-z0-9]{1,64}-[0-9]{1,9}")
_DRAFTS = ".drafts"
_NOTES = ".notes"
_TRASH = ".trash"


def output_id(kind: str, job_id: str, index: int) -> str:
    """Returns the id of a job's output number `index`, known before there is one."""
    return f"{kind}-{job_id.removeprefix('job-')}-{index}"


class ArtifactStore:
    """Artifacts as directories under one root: `<root>/<id>/manifest.json` and the files beside it."""

    def __init__(self, root: Path) -> None:
        """Takes the root folder, which is made if missing."""
        self.root = root
        for folder in (_DRAFTS, _NOTES, _TRASH):
            (root / folder).mkdir(parents=True, exist_ok=True)

    @classmethod
    def open(cls, url: str) -> ArtifactStore:
        """Opens a store by URL. Raises ValueError for a scheme other than file://."""
        parts = urlsplit(url)
        if parts.scheme != "file":
            raise ValueError(f"the artifact store {url!r} is not supported: use a file:// URL")
        return cls(Path(unquote(parts.path)))

    @property
    def drafts(self) -> Path:
        """Where unfinished artifacts lie; what is there and old is garbage."""
        return self.root / _DRAFTS

    @property
    def trash(self) -> Path:
        """Where deleted artifacts lie until their files are removed; what is there and old is garbage."""
        return self.root / _TRASH

    def draft(
        self,
        kind: str,
        *,
        job_id: str,
        attempt: int,
        index: int = 0,
        parents: Sequence[str] = (),
        parameters: Mapping[str, object] | None = None,
    ) -> ArtifactDraft:
        """Begins an artifact. Its id follows from job and index, so that a second delivery makes the same one."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of artifact: {', '.join(KINDS)}")
        artifact_id = output_id(kind, job_id, index)
        return ArtifactDraft(
            artifact_id,
            kind,
            job_id=job_id,
            parents=parents,
            parameters=parameters or {},
            path=self.drafts / f"{artifact_id}.{attempt}",
            destination=self.root / artifact_id,
        )

    def path(self, artifact_id: str) -> Path:
        """Returns an artifact's directory. Raises NotFoundError."""
        folder = self.root / artifact_id
        # The pattern comes first: no id that a client sends may leave the root.
        if not _ID.fullmatch(artifact_id) or not (folder / MANIFEST_NAME).is_file():
            raise NotFoundError(f"there is no artifact {artifact_id!r}; `mistudio artifacts list` shows what there is")
        return folder

    def get(self, artifact_id: str) -> ArtifactManifest:
        """Reads an artifact's manifest. Raises NotFoundError."""
        return ArtifactManifest.from_json((self.path(artifact_id) / MANIFEST_NAME).read_text(encoding="utf-8"))

    def exists(self, artifact_id: str) -> bool:
        """Tells whether an artifact is there."""
        return bool(_ID.fullmatch(artifact_id)) and (self.root / artifact_id / MANIFEST_NAME).is_file()

    def list(self) -> Iterator[ArtifactManifest]:
        """Reads all manifests, in no order; what disappears meanwhile is left out."""
        for file in self.root.glob(f"*/{MANIFEST_NAME}"):
            try:
                yield ArtifactManifest.from_json(file.read_text(encoding="utf-8"))
            except FileNotFoundError:
                continue

    def made_by(self, kind: str, job_id: str) -> Sequence[str]:
        """Returns the ids of a job's artifacts of a kind, by number; numbers may be missing."""
        prefix = f"{kind}-{job_id.removeprefix('job-')}-"
        names = (file.parent.name for file in self.root.glob(f"{prefix}*/{MANIFEST_NAME}"))
        return sorted((name for name in names if _ID.fullmatch(name)), key=lambda name: int(name.removeprefix(prefix)))

    def children(self, artifact_id: str) -> Sequence[str]:
        """Returns the ids of artifacts that were made from this one."""
        return sorted(manifest.id for manifest in self.list() if artifact_id in manifest.parents)

    def delete(self, artifact_id: str) -> None:
        """Deletes an artifact. Raises NotFoundError, or FailedPreconditionError naming what depends on it."""
        folder = self.path(artifact_id)
        if children := self.children(artifact_id):
            raise FailedPreconditionError(
                f"{artifact_id} cannot be deleted: {', '.join(children)} was made from it; delete that first",
                metadata={"dependants": ",".join(children)},
            )
        trash = self.trash / artifact_id
        shutil.rmtree(trash, ignore_errors=True)
        folder.rename(trash)  # gone at once for readers, however long the removal takes
        shutil.rmtree(trash, ignore_errors=True)
        self.notes_path(artifact_id).unlink(missing_ok=True)

    def notes_path(self, artifact_id: str) -> Path:
        """Returns where people's notes about an artifact lie, beside the immutable artifact."""
        return self.root / _NOTES / f"{artifact_id}.json"
