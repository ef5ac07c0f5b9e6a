"""TrainingService on the wire."""

from __future__ import annotations

import asyncio

import grpc.aio

from mistudio import v1
from mistudio_runtime.errors import UnimplementedError
from mistudio_trainer.metrics_reader import MetricsReader


class TrainingServicer(v1.TrainingServiceServicer):
    """Answers what training jobs measured."""

    def __init__(self, reader: MetricsReader) -> None:
        """Takes where the metrics are read."""
        self._reader = reader

    async def GetTrainingMetrics(
        self,
        request: v1.GetTrainingMetricsRequest,
        context: grpc.aio.ServicerContext[v1.GetTrainingMetricsRequest, v1.GetTrainingMetricsResponse],
    ) -> v1.GetTrainingMetricsResponse:
        """Returns the points of a job, live ones while it runs. Raises NotFoundError or InvalidRequestError."""
        after = request.after_step if request.HasField("after_step") else None
        points = await asyncio.to_thread(self._reader.read, request.job_id, frozenset(request.names), after)
        return v1.GetTrainingMetricsResponse(points=points)

    async def EstimateTraining(
        self,
        request: v1.EstimateTrainingRequest,
        context: grpc.aio.ServicerContext[v1.EstimateTrainingRequest, v1.EstimateTrainingResponse],
    ) -> v1.EstimateTrainingResponse:
        """Raises UnimplementedError: there is no model of memory and time yet."""
        raise UnimplementedError(
            "memory and time of a training job cannot be predicted by this version: start it with a small total_tokens "
            "and read the rate from `mistudio jobs watch`"
        )
