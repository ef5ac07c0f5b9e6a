"""What the extractor is: its job kinds and the queries that it answers."""

from __future__ import annotations

from collections.abc import Sequence

import grpc.aio

from mistudio.v1 import add_FeatureServiceServicer_to_server
from mistudio_extractor.feature_servicer import FeatureServicer
from mistudio_runtime.jobs import Handler, Service, ServiceContext


def add_servicers(server: grpc.aio.Server, context: ServiceContext) -> Sequence[str]:
    """Registers FeatureService."""
    add_FeatureServiceServicer_to_server(FeatureServicer(context.store), server)
    return ["mistudio.v1.FeatureService"]


service = Service(
    name="extractor",
    handlers=(
        Handler(
            "extract_features",
            "mistudio_extractor.extract_features:run",
            fitting="mistudio_extractor.fitting:fitting",
        ),
        Handler("extract_activations", "mistudio_extractor.extract_activations:run"),
    ),
    preload=("torch", "transformers"),
    add_servicers=add_servicers,
)
