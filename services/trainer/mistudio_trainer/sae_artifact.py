"""A trained SAE as an artifact."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mistudio.v1 import MetricPoint
from mistudio_runtime.artifacts import ArtifactManifest
from mistudio_runtime.artifacts.store import output_id
from mistudio_runtime.jobs import JobContext
from mistudio_runtime.jobs.inputs import parent_of_kind
from mistudio_sae.formats import SaeProvenance, save_saelens
from mistudio_sae.target import target_of
from mistudio_sae.tokens import TokensInfo
from mistudio_sae.training import TrainedSae
from mistudio_trainer.density import DENSITY_NAME, Density
from mistudio_trainer.metric_sink import run_name
from mistudio_trainer.metrics_table import TABLE_NAME, write_table
from mistudio_trainer.report import REPORT_NAME, JobReport, ReportedSae
from mistudio_trainer.tensorboard_sink import TENSORBOARD_FOLDER

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
    events: Path
    """Where TensorBoard's event files are, if the job wrote any."""


def reported(
    context: JobContext, names: Sequence[str], trained: Sequence[TrainedSae], origin: SaeOrigin
) -> list[ReportedSae]:
    """Returns what the reports say of all SAEs of a job that were trained; `names` are those of one hook point."""
    parents = {"model": origin.model.id, "tokens": origin.tokens.id}
    if dataset := parent_of_kind(context.store, origin.tokens, "dataset"):
        parents["dataset"] = dataset.id
    points: dict[tuple[str, str], list[MetricPoint]] = {}
    for point in origin.points:
        points.setdefault((point.labels["sae"], point.labels["hook_point"]), []).append(point)
    return [
        ReportedSae(
            artifact_id=output_id("sae", context.job_id, sae.place),
            summary=_summary(sae_name(names, sae), sae, origin),
            density=Density.of(sae.sparsity.numpy()),
            points=points.get((sae_name(names, sae), sae.hook.name), []),
            parents=parents,
            parameters=origin.parameters,
            job_id=context.job_id,
        )
        for sae in trained
    ]


def sae_name(names: Sequence[str], trained: TrainedSae) -> str:
    """Returns the name of an SAE within its sweep: on every hook point the names are the same."""
    return names[trained.place % len(names)]


def commit_sae(context: JobContext, index: int, trained: TrainedSae, origin: SaeOrigin, report: JobReport) -> str:
    """Writes SAE number `index` of the report in the SAELens layout with what it measured; returns its id.

    The id follows from its place in the sweep, whichever others there are.

    Raises SaeFormatError if SAELens has no such architecture, OSError if it cannot be written.
    """
    parents, told = [origin.model.id, origin.tokens.id], report.saes[index]
    with context.draft("sae", parents=parents, parameters=origin.parameters, index=trained.place) as draft:
        save_saelens(draft.path, trained.sae, _provenance(context, trained, origin), trained.sparsity)
        write_table(draft.path / TABLE_NAME, told.points)
        told.density.write(draft.path / DENSITY_NAME)
        report.write(draft.path / REPORT_NAME, index)
        if told.points and (events := origin.events / run_name(told.points[0])).is_dir():
            shutil.copytree(events, draft.path / TENSORBOARD_FOLDER)
        draft.summary = dict(told.summary)
        return draft.commit()


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
