"""Calls of TrainingService."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio.calls.call import Call, unary


def metrics(
    job_id: str, *, names: Sequence[str] = (), after_step: int | None = None, timeout: float | None = None
) -> Call[Sequence[v1.MetricPoint]]:
    """Returns what a training job measured so far, by step: only these names (empty: all), only after this step."""
    request = v1.GetTrainingMetricsRequest(job_id=job_id, names=names, after_step=after_step)
    answer = v1.GetTrainingMetricsResponse
    return unary(
        "TrainingService/GetTrainingMetrics", request, answer, lambda a: a.points, timeout=timeout, repeatable=True
    )


def estimate(spec: v1.TrainSae, *, timeout: float | None = None) -> Call[v1.EstimateTrainingResponse]:
    """Returns a prediction of a training job's memory (bytes) and time."""
    request = v1.EstimateTrainingRequest(spec=spec)
    answer = v1.EstimateTrainingResponse
    return unary("TrainingService/EstimateTraining", request, answer, lambda a: a, timeout=timeout, repeatable=True)
