"""DatasetService on the wire."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio

from mistudio import v1
from mistudio_ingest.previews import Previews

Context = grpc.aio.ServicerContext[Any, Any]


class DatasetServicer(v1.DatasetServiceServicer):
    """Looks into datasets without a job."""

    def __init__(self, previews: Previews) -> None:
        """Takes where the answers come from."""
        self._previews = previews

    async def PreviewDataset(
        self,
        request: v1.PreviewDatasetRequest,
        context: Context,
    ) -> v1.PreviewDatasetResponse:
        """Shows rows of a dataset."""
        rows, total = await asyncio.to_thread(self._previews.rows, request.artifact_id, request.offset, request.rows)
        return v1.PreviewDatasetResponse(rows=rows, total_rows=total)

    async def PreviewTokenization(
        self,
        request: v1.PreviewTokenizationRequest,
        context: Context,
    ) -> v1.PreviewTokenizationResponse:
        """Shows how a model's tokenizer splits a text."""
        tokens = await asyncio.to_thread(self._previews.tokens, request.model_artifact_id, request.text)
        return v1.PreviewTokenizationResponse(tokens=tokens)
