"""TrainingService on the wire."""

from __future__ import annotations

import asyncio

import grpc.aio

from mistudio import v1
from mistudio_runtime.errors import UnimplementedError
from mistudio_trainer.metrics_reader import MetricsQuery, MetricsReader


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
        """Returns a page of a job's points, live ones while it runs. Raises NotFoundError or InvalidRequestError."""
        after = request.after_step if request.HasField("after_step") else None
        query = MetricsQuery(request.job_id, frozenset(request.names), after, request.page_size, request.page_token)
        points, token = await asyncio.to_thread(self._reader.page, query)
        return v1.GetTrainingMetricsResponse(points=points, next_page_token=token)

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
