"""What the curator can do: its job kinds and its queries."""

from __future__ import annotations

from collections.abc import Sequence

import grpc.aio

from mistudio.v1 import add_CatalogServiceServicer_to_server
from mistudio_curator.catalog import Catalog
from mistudio_curator.catalog_servicer import CatalogServicer
from mistudio_runtime.jobs import Handler, Service, ServiceContext


def add_servicers(server: grpc.aio.Server, context: ServiceContext) -> Sequence[str]:
    """Registers the queries that the curator answers; returns their full names."""
    add_CatalogServiceServicer_to_server(CatalogServicer(Catalog(context.store)), server)
    return ["mistudio.v1.CatalogService"]


service = Service(
    name="curator",
    handlers=tuple(
        Handler(kind, f"mistudio_curator.{kind}:run", isolation="inline")
        for kind in (
            "update_metadata",
            "delete_artifact",
            "summarize_dataset",
            "collect_garbage",
            "prune_checkpoints",
            "verify_artifacts",
            "archive_jobs",
        )
    ),
    add_servicers=add_servicers,
)
