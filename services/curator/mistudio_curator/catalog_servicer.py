"""Answers CatalogService: converts, asks the catalogue, converts."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio

from mistudio.v1 import (
    CatalogServiceServicer,
    DeleteArtifactRequest,
    DeleteArtifactResponse,
    GetArtifactRequest,
    GetArtifactResponse,
    ListArtifactsRequest,
    ListArtifactsResponse,
    ReadArtifactFileRequest,
    ReadArtifactFileResponse,
    UpdateArtifactRequest,
    UpdateArtifactResponse,
)
from mistudio_curator.catalog import Catalog, ListQuery
from mistudio_runtime.errors import UnimplementedError

Context = grpc.aio.ServicerContext[Any, Any]


class CatalogServicer(CatalogServiceServicer):
    """Tells about artifacts. The two changing calls are the gateway's, because they become jobs."""

    def __init__(self, catalog: Catalog) -> None:
        """Takes the catalogue to ask."""
        self._catalog = catalog

    async def ListArtifacts(
        self,
        request: ListArtifactsRequest,
        context: Context,
    ) -> ListArtifactsResponse:
        """Lists artifacts, newest first."""
        query = ListQuery(request.kinds, request.labels, request.page_size, request.page_token)
        artifacts, token = await asyncio.to_thread(self._catalog.page, query)
        return ListArtifactsResponse(artifacts=artifacts, next_page_token=token)

    async def GetArtifact(
        self,
        request: GetArtifactRequest,
        context: Context,
    ) -> GetArtifactResponse:
        """Reads one artifact."""
        artifact, children = await asyncio.to_thread(self._catalog.get, request.artifact_id)
        return GetArtifactResponse(artifact=artifact, child_ids=children)

    async def ReadArtifactFile(
        self,
        request: ReadArtifactFileRequest,
        context: Context,
    ) -> ReadArtifactFileResponse:
        """Reads a part of a file."""
        data, size = await asyncio.to_thread(
            self._catalog.read_file,
            request.artifact_id,
            request.path,
            offset=request.offset,
            max_bytes=request.max_bytes,
        )
        return ReadArtifactFileResponse(data=data, file_bytes=size)

    async def UpdateArtifact(
        self,
        request: UpdateArtifactRequest,
        context: Context,
    ) -> UpdateArtifactResponse:
        """Says who answers this."""
        raise UnimplementedError("UpdateArtifact becomes a job: call it on the gateway, not on a curator")

    async def DeleteArtifact(
        self,
        request: DeleteArtifactRequest,
        context: Context,
    ) -> DeleteArtifactResponse:
        """Says who answers this."""
        raise UnimplementedError("DeleteArtifact becomes a job: call it on the gateway, not on a curator")
