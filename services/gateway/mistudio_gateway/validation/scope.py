"""What validation may look at, and where it writes down what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mistudio import v1
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import InvalidRequestError, Violation
from mistudio_runtime.paths import PathNotAllowedError, resolve_allowed
from mistudio_runtime.queues import QueueTable
from mistudio_runtime.serving.status import MESSAGE_BYTES, clipped
from mistudio_runtime.settings import Settings

MAX_VIOLATIONS = 50
"""Bad fields that are written down; who has mended these hears of the rest."""

_Item = TypeVar("_Item")


@dataclass
class Scope:
    """One validation: the world that the request is checked against, and its violations."""

    store: ArtifactStore
    settings: Settings
    table: QueueTable
    find_job: Callable[[str], v1.Job | None]
    needing: Callable[[str], Sequence[str]] = lambda _: ()
    """Artifact to the unfinished jobs that need it."""
    steps: Mapping[str, v1.JobSpec] = field(default_factory=dict)
    """Steps of the same pipeline that stand before the one that is checked."""
    step: str = ""
    """The step that is checked; "" outside of a pipeline."""
    pipeline: Mapping[str, v1.JobSpec] = field(default_factory=dict)
    """All steps of the same pipeline."""
    violations: list[Violation] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether nothing more is written down."""
        return len(self.violations) >= MAX_VIOLATIONS

    def each(self, items: Iterable[_Item]) -> Iterator[tuple[int, _Item]]:
        """Yields items with their places, as long as what is wrong with them is written down."""
        for index, item in enumerate(items):
            if self.full:
                return
            yield index, item

    def refuse(self, path: str, description: str) -> None:
        """Writes down one bad field, unless there are MAX_VIOLATIONS already."""
        if not self.full:
            self.violations.append(Violation(path, clipped(description, MESSAGE_BYTES)))

    def require(self, holds: bool, path: str, description: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Writes down a bad field unless the condition holds."""
        if not holds:
            self.refuse(path, description)

    def raise_if_any(self) -> None:
        """Raises InvalidRequestError if anything was refused."""
        if self.violations:
            raise InvalidRequestError(self.violations)

    def local_path(self, path: str, field_path: str, *, must_exist: bool = True) -> Path | None:
        """Checks a path against the allowed roots; returns it resolved, or None after writing down why not."""
        if not path or "\0" in path:
            self.refuse(field_path, "name a path")
            return None
        try:
            resolved = resolve_allowed(path, self.settings.allowed_roots)
            exists = resolved.exists()
        except (PathNotAllowedError, OSError) as error:
            self.refuse(field_path, str(error))
            return None
        if must_exist and not exists:
            self.refuse(field_path, f"{path} does not exist")
            return None
        return resolved
