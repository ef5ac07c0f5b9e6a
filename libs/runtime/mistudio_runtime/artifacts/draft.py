"""An artifact while it is being written."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mistudio_runtime.artifacts.manifest import MANIFEST_NAME, ArtifactManifest, FileEntry


class ArtifactDraft:
    """A directory to write files into; `commit` makes it an artifact by one rename.

    Leaving the `with` block without a commit removes it. If another delivery of the same job has committed the same
    artifact before, `commit` keeps that one: the effect is had once.
    """

    def __init__(
        self,
        artifact_id: str,
        kind: str,
        *,
        job_id: str,
        parents: Sequence[str],
        parameters: Mapping[str, object],
        path: Path,
        destination: Path,
    ) -> None:
        """Takes what goes into the manifest; `path` is made anew."""
        self.id = artifact_id
        self.kind = kind
        self.path = path
        """Where to write the files."""
        self.summary: dict[str, Any] = {}
        """What was measured, as JSON; fill it before the commit."""
        self._job_id = job_id
        self._parents = tuple(parents)
        self._parameters = dict(parameters)
        self._destination = destination

    def __enter__(self) -> Self:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def commit(self) -> str:
        """Makes the files durable and visible at once; returns the artifact's id.

        Raises OSError (disk full, permissions): then nothing is visible.
        """
        if not self._destination.exists():
            (self.path / MANIFEST_NAME).write_text(self._manifest().to_json(), encoding="utf-8")
            _sync_tree(self.path)
            self._rename()
        return self.id

    def _manifest(self) -> ArtifactManifest:
        files = sorted(file for file in self.path.rglob("*") if file.is_file())
        return ArtifactManifest(
            id=self.id,
            kind=self.kind,
            create_time=time.time(),
            job_id=self._job_id,
            parents=self._parents,
            parameters=self._parameters,
            summary=self.summary,
            files=tuple(FileEntry.of(self.path, file) for file in files if file.name != MANIFEST_NAME),
        )

    def _rename(self) -> None:
        try:
            self.path.rename(self._destination)
        except OSError:
            # A directory cannot replace one with files in it: somebody committed between the check and the rename.
            if not (self._destination / MANIFEST_NAME).exists():
                raise
        _sync(self._destination.parent)


def _sync_tree(root: Path) -> None:
    for path in [*root.rglob("*"), root]:
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
