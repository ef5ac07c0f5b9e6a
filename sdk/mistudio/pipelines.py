"""Jobs that use each other's outputs, submitted at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from mistudio import v1
from mistudio.references import ref
from mistudio.specs import Spec, job_request

JobHandle = TypeVar("JobHandle")


class Pipeline:
    """Steps in order; what `add` returns stands for a step's first output in the specs of later steps.

    >>> pipeline = Pipeline()
    >>> dataset = pipeline.add("dataset", v1.DownloadDataset(bundled="python-topics"))
    >>> tokens = pipeline.add("tokens", v1.TokenizeDataset(dataset=dataset))
    """

    def __init__(self) -> None:
        self.steps: list[v1.PipelineStep] = []
        """The steps so far."""

    def add(self, name: str, spec: Spec, **how: Any) -> v1.ArtifactRef:
        """Appends a step and returns the reference to its first output.

        `how` takes display_name, priority, max_attempts, depends_on, labels, job_timeout and start_within. Raises
        TypeError if `spec` is no spec and ValueError if the name is taken.
        """
        if any(step.name == name for step in self.steps):
            raise ValueError(f"the pipeline has a step {name!r} already")
        self.steps.append(v1.PipelineStep(name=name, job=job_request(spec, **how)))
        return v1.ArtifactRef(step=name)

    def output(self, name: str, index: int) -> v1.ArtifactRef:
        """Returns the reference to another output of a step than its first."""
        return ref(name, output=index)


Steps: TypeAlias = Pipeline | Mapping[str, Spec]
"""A pipeline, or its steps by name in their order."""


def steps_of(pipeline: Steps) -> list[v1.PipelineStep]:
    """Returns the steps as the wire takes them."""
    if isinstance(pipeline, Pipeline):
        return pipeline.steps
    return [v1.PipelineStep(name=name, job=job_request(spec)) for name, spec in pipeline.items()]


@dataclass(frozen=True)
class PipelineRun(Generic[JobHandle]):
    """A pipeline that was submitted."""

    id: str
    """Identifier of the pipeline."""
    jobs: dict[str, JobHandle]
    """One job a step, by the step's name, in order."""
