"""The queues' parts of one gateway, made and started together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from nats.aio.client import Client

from mistudio_gateway.ledger import Ledger
from mistudio_gateway.queue_servicer import QueueServicer
from mistudio_gateway.queues.consumers import QueueConsumers
from mistudio_gateway.queues.control import QueueControl
from mistudio_gateway.queues.diagnoses import Diagnoses, WaitsForDevice
from mistudio_gateway.queues.gate import ClaimGate
from mistudio_gateway.queues.limits import QueueLimits
from mistudio_gateway.queues.pauses import PauseRecord
from mistudio_gateway.queues.standing import Standings
from mistudio_gateway.queues_view import QueuesView
from mistudio_gateway.routes import Routes
from mistudio_gateway.validation import Scope
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.broker.provision import queues_bucket
from mistudio_runtime.queues import QueueTable
from mistudio_runtime.settings import Settings


@dataclass
class QueuePlane:
    """What a gateway knows of its queues beyond the table."""

    table: QueueTable
    standings: Standings
    pauses: PauseRecord
    gate: ClaimGate
    control: QueueControl
    limits: QueueLimits

    def diagnoses(self, ledger: Ledger, registry: WorkerRegistry, waits_for_device: WaitsForDevice) -> Diagnoses:
        """Returns who says why jobs do not run; `ledger` is to tell its news to `standings`."""
        return Diagnoses(self.table, ledger, registry, self.standings, self.pauses, waits_for_device)

    def servicer(
        self, registry: WorkerRegistry, diagnoses: Diagnoses, make_scope: Callable[[], Scope]
    ) -> QueueServicer:
        """Returns QueueService."""
        view = QueuesView(self.table, registry, self.standings, self.pauses, diagnoses)
        routes = Routes(
            self.table, registry, self.standings, pauses=self.pauses, diagnoses=diagnoses, make_scope=make_scope
        )
        return QueueServicer(view, routes, self.control)


async def start_queues(client: Client, settings: Settings, table: QueueTable, stack: AsyncExitStack) -> QueuePlane:
    """Begins to follow the pauses; returns when those of now are known."""
    pauses = PauseRecord(client, await queues_bucket(client.jetstream(), settings))
    gate, control = ClaimGate(pauses), QueueControl(table, pauses, QueueConsumers(client, table.names))
    standings = Standings()
    await pauses.start()
    stack.push_async_callback(pauses.stop)
    control.start()
    stack.push_async_callback(control.stop)
    limits = QueueLimits(table, standings, gate.is_closed)
    return QueuePlane(table, standings, pauses, gate, control, limits)
