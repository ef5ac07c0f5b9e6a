"""What the ingest service is: its job kinds and the queries that it answers."""

from __future__ import annotations

from collections.abc import Sequence

import grpc.aio

from mistudio.v1 import add_DatasetServiceServicer_to_server
from mistudio_ingest.dataset_servicer import DatasetServicer
from mistudio_ingest.previews import Previews
from mistudio_runtime.jobs import Handler, Service, ServiceContext


def add_servicers(server: grpc.aio.Server, context: ServiceContext) -> Sequence[str]:
    """Registers DatasetService."""
    add_DatasetServiceServicer_to_server(DatasetServicer(Previews(context.store)), server)
    return ["mistudio.v1.DatasetService"]


service = Service(
    name="ingest",
    handlers=tuple(
        Handler(kind, f"mistudio_ingest.{kind}:run")
        for kind in ("download_dataset", "download_model", "import_sae", "export_sae", "tokenize_dataset")
    ),
    preload=("torch", "transformers", "pyarrow.parquet"),
    add_servicers=add_servicers,
)
