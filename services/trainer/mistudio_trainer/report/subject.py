"""An SAE as the report sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mistudio.v1 import MetricPoint
from mistudio_trainer.density import Density


@dataclass(frozen=True)
class ReportedSae:
    """One trained SAE of a job."""

    artifact_id: str
    """What it is stored as."""
    summary: Mapping[str, Any]
    """The artifact's summary: name, architecture, sizes, hook point, metrics."""
    density: Density
    """How often its latents fire."""
    points: Sequence[MetricPoint]
    """What it measured on the way, by step."""
    parents: Mapping[str, str]
    """What it was made from, e.g. {"model": "model-…-0"}."""
    parameters: Mapping[str, Any]
    """The job's spec as JSON."""
    job_id: str
    """The job that trained it."""
