"""SAEs as a job's reports see them, with curves that are quick to make."""

from __future__ import annotations

import math

import numpy as np

from mistudio.v1 import MetricPoint
from mistudio_trainer.density import Density
from mistudio_trainer.report import ReportedSae

HOOK = "layer.1.resid_post"


def measured(name: str, hook: str = HOOK, steps: int = 200, job_start: int = 1_700_000_000) -> list[MetricPoint]:
    """Points every ten steps of 64 tokens, one step a second."""
    points = []
    for step in range(10, 10 * steps + 1, 10):
        values = {"loss": 9 / step, "reconstruction_loss": 8 / step, "fvu": 2 / step, "l0": 4.0, "dead_fraction": 0.1}
        values |= {"explained_variance": 1 - 2 / step, "gradient_norm": 1.0, "learning_rate": 1e-3, "sparsity_loss": 0}
        for metric, value in values.items():
            labels = {"sae": name, "hook_point": hook}
            point = MetricPoint(name=metric, value=value, step=step, tokens=64 * step, labels=labels)
            point.time.FromSeconds(job_start + step)
            points.append(point)
    return points


def reported(index: int, name: str = "topk-24-k4", *, hook: str = HOOK, model: str = "tiny") -> ReportedSae:
    """An SAE of a sweep."""
    metrics = {"l0": 4.0 + index, "fvu": 0.1 / (index + 1), "explained_variance": 0.9, "dead_fraction": 0.25}
    summary = {
        "name": name,
        "architecture": "topk",
        "d_in": 16,
        "d_sae": 24,
        "k": 4,
        "hook_point": hook,
        "model_name": model,
        "tokens_trained": 128_000,
        "epochs": 2,
        "activation_scale": math.pi,
        "metrics": metrics,
        "metrics_split": "validation",
    }
    return ReportedSae(
        artifact_id=f"sae-one-{index}",
        summary=summary,
        density=Density.of(np.array([-1.1] * 20 + [-10.0] * 4, dtype=np.float32)),
        points=measured(name, hook),
        parents={"model": "model-model-0", "tokens": "tokens-tokens-0"},
        parameters={"seed": "7", "batch_tokens": 64},
        job_id="job-one",
    )
