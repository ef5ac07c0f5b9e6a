"""What the trainer is: its job kind and the queries that it answers."""

from __future__ import annotations

from collections.abc import Sequence

import grpc.aio

from mistudio.v1 import add_TrainingServiceServicer_to_server
from mistudio_runtime.jobs import Handler, Service, ServiceContext
from mistudio_trainer.metrics_reader import MetricsReader
from mistudio_trainer.training_servicer import TrainingServicer


def add_servicers(server: grpc.aio.Server, context: ServiceContext) -> Sequence[str]:
    """Registers TrainingService."""
    reader = MetricsReader(context.store, context.settings.scratch)
    add_TrainingServiceServicer_to_server(TrainingServicer(reader), server)
    return ["mistudio.v1.TrainingService"]


service = Service(
    name="trainer",
    handlers=(Handler("train_sae", "mistudio_trainer.train_sae:run", fitting="mistudio_trainer.fitting:fitting"),),
    preload=("torch", "transformers"),
    add_servicers=add_servicers,
)
