"""Calls of TrainingService."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio.calls.call import Call, Listing, unary


def metrics(
    job_id: str,
    *,
    names: Sequence[str] = (),
    after_step: int | None = None,
    page_size: int = 0,
    timeout: float | None = None,
) -> Listing[v1.MetricPoint]:
    """Iterates over what a training job measured so far, by step, reading page after page.

    Only these names (empty: all), only after this step. `timeout` is for each page.
    """
    request = v1.GetTrainingMetricsRequest(job_id=job_id, names=names, after_step=after_step, page_size=page_size)
    return Listing(
        unary(
            "TrainingService/GetTrainingMetrics",
            request,
            v1.GetTrainingMetricsResponse,
            lambda answer: (answer.points, answer.next_page_token),
            timeout=timeout,
            repeatable=True,
        )
    )


def estimate(spec: v1.TrainSae, *, timeout: float | None = None) -> Call[v1.EstimateTrainingResponse]:
    """Returns a prediction of a training job's memory (bytes) and time."""
    request = v1.EstimateTrainingRequest(spec=spec)
    answer = v1.EstimateTrainingResponse
    return unary("TrainingService/EstimateTraining", request, answer, lambda a: a, timeout=timeout, repeatable=True)
