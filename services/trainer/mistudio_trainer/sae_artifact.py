"""A trained SAE as an artifact."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mistudio.v1 import MetricPoint
from mistudio_runtime.artifacts import ArtifactManifest
from mistudio_runtime.jobs import JobContext
from mistudio_runtime.jobs.inputs import parent_of_kind
from mistudio_sae.formats import SaeProvenance, save_saelens
from mistudio_sae.target import target_of
from mistudio_sae.tokens import TokensInfo
from mistudio_sae.training import TrainedSae
from mistudio_trainer.metrics_table import TABLE_NAME, write_table

_EVALUATION = "evaluation/"


@dataclass(frozen=True)
class SaeOrigin:
    """What all SAEs of a job come from."""

    model: ArtifactManifest
    tokens: ArtifactManifest
    tokens_info: TokensInfo
    points: Sequence[MetricPoint]
    """What all SAEs measured on the way."""
    parameters: Mapping[str, object]
    """The job's spec as JSON."""


def commit_sae(context: JobContext, name: str, trained: TrainedSae, origin: SaeOrigin) -> str:
    """Writes an SAE in the SAELens layout with its part of the points; returns the id, which its place decides.

    Raises SaeFormatError if SAELens has no such architecture, OSError if it cannot be written.
    """
    parents = [origin.model.id, origin.tokens.id]
    with context.draft("sae", parents=parents, parameters=origin.parameters, index=trained.place) as draft:
        save_saelens(draft.path, trained.sae, _provenance(context, trained, origin), trained.sparsity)
        write_table(draft.path / TABLE_NAME, [point for point in origin.points if _is_of(point, name, trained)])
        draft.summary = _summary(name, trained, origin)
        return draft.commit()


def _is_of(point: MetricPoint, name: str, trained: TrainedSae) -> bool:
    return point.labels["sae"] == name and point.labels["hook_point"] == trained.hook.name


def _provenance(context: JobContext, trained: TrainedSae, origin: SaeOrigin) -> SaeProvenance:
    dataset = parent_of_kind(context.store, origin.tokens, "dataset")
    return SaeProvenance(
        model_name=origin.model.name,
        hook_point=trained.hook.name,
        context_size=origin.tokens_info.context_length,
        prepend_bos=origin.tokens_info.prepend_bos,
        dataset=None if dataset is None else str(dataset.summary.get("source") or dataset.id),
    )


def _summary(name: str, trained: TrainedSae, origin: SaeOrigin) -> dict[str, Any]:
    config, target = trained.config, target_of(trained.config, trained.hook)
    return {
        "name": name,
        "architecture": config.architecture,
        "d_in": config.d_in,
        "d_sae": config.d_sae,
        **({} if config.k is None else {"k": config.k}),
        "hook_point": trained.hook.name,
        **({"target_hook_point": target.name} if target != trained.hook else {}),
        "model_name": origin.model.name,
        "tokens_trained": trained.tokens,
        "epochs": trained.epochs,
        "activation_scale": trained.activation_scale,
        **_metrics(trained),
    }


def _metrics(trained: TrainedSae) -> dict[str, Any]:
    """What was measured on held-out tokens, or in training where there are none; JSON knows no infinity."""
    finite = {name: value for name, value in trained.metrics.items() if math.isfinite(value)}
    held_out = {name.removeprefix(_EVALUATION): value for name, value in finite.items() if name.startswith(_EVALUATION)}
    return {"metrics": held_out or finite, "metrics_split": "validation" if held_out else "train"}
