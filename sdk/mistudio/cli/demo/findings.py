"""What the demo found, read from the mesh."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from google.protobuf.json_format import MessageToDict

from mistudio import v1
from mistudio.blocking.client import Client

FEATURES = 10


@dataclass(frozen=True)
class Findings:
    """What there is to show."""

    artifacts: dict[str, v1.Artifact]
    """By step."""
    features: list[v1.Feature]
    """The most interesting ones, with their examples."""
    metrics: dict[str, float]
    """Of the SAE on held-out tokens, by name."""


def read_findings(client: Client, jobs: dict[str, v1.Job]) -> Findings:
    """Reads artifacts, metrics and features of the demo's jobs, given by step. Raises MistudioError."""
    artifacts = {step: client.artifacts.get(job.artifact_ids[0]).artifact for step, job in jobs.items()}
    features_id = artifacts["features"].id
    listed = islice(client.features.list(features_id, page_size=FEATURES), FEATURES)
    features = [client.features.get(features_id, feature.latent) for feature in listed]
    return Findings(artifacts, features, _metrics(artifacts["sae"]))


def _metrics(sae: v1.Artifact) -> dict[str, float]:
    summary: dict[str, Any] = MessageToDict(sae.summary)
    return {name: value for name, value in summary.get("metrics", {}).items() if isinstance(value, float)}
