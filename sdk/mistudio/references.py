"""Names of artifacts that exist or that a job will make."""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

from mistudio import v1

_KINDS = "|".join(name.removeprefix("ARTIFACT_KIND_").lower() for name in v1.ArtifactKind.keys()[1:])
_ARTIFACT_ID = re.compile(rf"({_KINDS})-[0-9a-z]{{8,}}(-\d+)?")


@runtime_checkable
class _HasId(Protocol):
    @property
    def id(self) -> str: ...


def ref(target: str | _HasId, *, output: int = 0) -> v1.ArtifactRef:
    """Returns the reference that a spec takes.

    Args:
        target: An artifact's id ("sae-01jd7…"), a job's id ("job-…"), a job or an artifact itself, or else the name
            of a step of the same pipeline.
        output: Which of that job's or step's outputs, from 0.
    """
    name = target if isinstance(target, str) else target.id
    if name.startswith("job-"):
        return v1.ArtifactRef(job_id=name, output_index=output)
    if _ARTIFACT_ID.fullmatch(name):
        return v1.ArtifactRef(artifact_id=name)
    return v1.ArtifactRef(step=name, output_index=output)
