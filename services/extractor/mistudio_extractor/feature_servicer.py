"""FeatureService on the wire."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

import grpc.aio

from mistudio import v1
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import UnimplementedError

if TYPE_CHECKING:
    from mistudio_extractor.feature_queries import FeatureQueries


class FeatureServicer(v1.FeatureServiceServicer):
    """Answers questions about features, each in a thread of its own."""

    def __init__(self, store: ArtifactStore) -> None:
        """Takes the store."""
        self._store = store

    @cached_property
    def _queries(self) -> FeatureQueries:
        # It brings torch along: seconds and hundreds of megabytes that a worker which nobody asks need not spend.
        from mistudio_extractor.feature_queries import FeatureQueries  # noqa: PLC0415

        return FeatureQueries(self._store)

    async def ListFeatures(
        self,
        request: v1.ListFeaturesRequest,
        context: grpc.aio.ServicerContext[v1.ListFeaturesRequest, v1.ListFeaturesResponse],
    ) -> v1.ListFeaturesResponse:
        """Lists features."""
        return await asyncio.to_thread(lambda: self._queries.list(request))

    async def GetFeature(
        self,
        request: v1.GetFeatureRequest,
        context: grpc.aio.ServicerContext[v1.GetFeatureRequest, v1.GetFeatureResponse],
    ) -> v1.GetFeatureResponse:
        """Reads one feature."""
        return await asyncio.to_thread(lambda: self._queries.get(request))

    async def SearchFeatures(
        self,
        request: v1.SearchFeaturesRequest,
        context: grpc.aio.ServicerContext[v1.SearchFeaturesRequest, v1.SearchFeaturesResponse],
    ) -> v1.SearchFeaturesResponse:
        """Finds features by token."""
        return await asyncio.to_thread(lambda: self._queries.search(request))

    async def ActivateText(
        self,
        request: v1.ActivateTextRequest,
        context: grpc.aio.ServicerContext[v1.ActivateTextRequest, v1.ActivateTextResponse],
    ) -> v1.ActivateTextResponse:
        """Runs a text through model and SAE."""
        return await asyncio.to_thread(lambda: self._queries.activate(request))

    async def UpdateFeature(
        self,
        request: v1.UpdateFeatureRequest,
        context: grpc.aio.ServicerContext[v1.UpdateFeatureRequest, v1.UpdateFeatureResponse],
    ) -> v1.UpdateFeatureResponse:
        """Raises UnimplementedError: a change is a job, and jobs begin at the gateway."""
        raise UnimplementedError(
            "an extractor changes no feature: call UpdateFeature at the gateway, which makes it a job"
        )
