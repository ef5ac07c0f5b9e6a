"""The parts of a gateway, made and started in order, stopped in reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from nats.aio.client import Client

from mistudio import v1
from mistudio_gateway.attempt_ages import AttemptAges
from mistudio_gateway.attempts import Attempts
from mistudio_gateway.change_servicer import ChangeServicer
from mistudio_gateway.commands import Commands
from mistudio_gateway.control import JobControl
from mistudio_gateway.deletion import JobDeletion
from mistudio_gateway.device_leases import DeviceLeases
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.event_feeds import EventFeeds
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.forwarding import FORWARDED, Backends, ForwardingHandler, forwarded_service
from mistudio_gateway.job_servicer import JobServicer
from mistudio_gateway.jobs import Jobs
from mistudio_gateway.ledger import Ledger
from mistudio_gateway.mesh_check import MeshCheck
from mistudio_gateway.mesh_servicer import MeshServicer
from mistudio_gateway.queues.diagnoses import Diagnoses
from mistudio_gateway.queues.plane import QueuePlane, start_queues
from mistudio_gateway.reconciler import Reconciler
from mistudio_gateway.retrying import Retrying
from mistudio_gateway.schedules.plan import Schedules
from mistudio_gateway.schedules.schedule_servicer import ScheduleServicer
from mistudio_gateway.schedules.start import start_schedules
from mistudio_gateway.session_servicer import WorkerSessionServicer
from mistudio_gateway.sessions import Sessions
from mistudio_gateway.stalls import Stalls
from mistudio_gateway.submission import Submission
from mistudio_gateway.watch import Watches
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_gateway.worker_servicer import WorkerServicer
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.broker.connection import connect
from mistudio_runtime.broker.inspection import BrokerInspection
from mistudio_runtime.broker.provision import LEASE_FACTOR, leases_bucket, provision, workers_bucket
from mistudio_runtime.queues import load_queues
from mistudio_runtime.schedules import load_schedules
from mistudio_runtime.serving.server import MeshServer
from mistudio_runtime.settings import Settings

STOP_SECONDS = 2.0
STALL_FACTOR = 0.5
"""A gateway that stood still for this times ack_wait may have been left by its workers."""
STALL_SECONDS = 2.0
"""Shorter than this is nothing: a machine with too much to do."""
_OWN = ("JobService", "MeshService", "QueueService", "ScheduleService", "WorkerService", "WorkerSessionService")


@dataclass
class _Plane:
    """The job plane of one gateway."""

    ledger: Ledger
    events: EventLog
    registry: WorkerRegistry
    dispatcher: Dispatcher
    reconciler: Reconciler
    sessions: Sessions
    commands: Commands
    attempts: Attempts
    queues: QueuePlane
    diagnoses: Diagnoses
    stalls: Stalls
    deletion: JobDeletion
    watches: Watches


@asynccontextmanager
async def running_gateway(settings: Settings, nats_url: str) -> AsyncIterator[MeshServer]:
    """Runs a gateway on settings.listen until the block ends."""
    table = load_queues(settings.queues_file)
    schedule_table = load_schedules(table, settings.schedules_file)
    async with AsyncExitStack() as stack:
        client = await connect(nats_url, "gateway")
        stack.push_async_callback(client.close)
        await provision(client.jetstream(), table, settings)
        queues = await start_queues(client, settings, table, stack)
        plane = await _start_plane(client, settings, queues, stack)
        store = ArtifactStore.open(settings.artifacts_url)
        submission = Submission(plane.ledger, plane.dispatcher, store, settings, table=table, limits=queues.limits)
        schedules = await start_schedules(
            client, settings, schedule_table, submission=submission, ledger=plane.ledger, stack=stack
        )
        check = MeshCheck(
            BrokerInspection(client, nats_url),
            settings,
            table,
            ledger=plane.ledger,
            registry=plane.registry,
            sessions=plane.sessions,
            schedules=schedules,
            diagnoses=plane.diagnoses,
        )
        backends = Backends(plane.registry)
        stack.push_async_callback(backends.close)
        server = MeshServer()
        v1.add_MeshServiceServicer_to_server(MeshServicer(check), server.grpc)
        names = _add_services(
            server, plane, backends, settings, submission=submission, store=store, schedules=schedules
        )
        await server.start(settings.listen, names)
        stack.push_async_callback(server.stop, STOP_SECONDS)
        yield server


async def _start_plane(client: Client, settings: Settings, queues: QueuePlane, stack: AsyncExitStack) -> _Plane:
    js = client.jetstream()
    lease = settings.ack_wait_seconds * LEASE_FACTOR
    events = EventLog(client)
    ledger = Ledger(client, events)
    ledger.tell(queues.standings.hear)
    registry = WorkerRegistry(client, await workers_bucket(js, settings), lease)
    dispatcher = Dispatcher(client, js)
    ages = AttemptAges(lease)
    reconciler = Reconciler(client, ledger, dispatcher, registry, ages=ages, lease_seconds=lease)
    stalls = Stalls(max(STALL_SECONDS, settings.ack_wait_seconds * STALL_FACTOR))
    sessions = Sessions()
    commands = Commands(client, sessions)
    leases = DeviceLeases(client, await leases_bucket(js, settings), ledger, registry, dispatcher=dispatcher)
    leases.jobs_per_device = settings.jobs_per_device
    attempts = Attempts(
        ledger,
        events,
        registry,
        job_ended=reconciler.kick,
        lease_seconds=lease,
        devices=leases,
        ages=ages,
        gate=queues.gate,
    )
    events.fence_by(attempts.is_current)
    stack.callback(events.stop)
    await commands.start()
    for part in (ledger, registry, leases):
        await part.start()
        stack.push_async_callback(part.stop)
    stalls.start()
    stack.push_async_callback(stalls.stop)
    reconciler.start()
    stack.push_async_callback(reconciler.stop)
    diagnoses = queues.diagnoses(ledger, registry, leases.waits_for_device)
    feeds = EventFeeds(client, events, ledger, diagnoses.of)
    stack.push_async_callback(feeds.stop)
    return _Plane(
        ledger,
        events,
        registry,
        dispatcher,
        reconciler,
        sessions,
        commands,
        attempts,
        queues,
        diagnoses,
        stalls,
        JobDeletion(ledger, dispatcher, js),
        Watches(ledger, events, feeds),
    )


def _add_services(
    server: MeshServer,
    plane: _Plane,
    backends: Backends,
    settings: Settings,
    *,
    submission: Submission,
    store: ArtifactStore,
    schedules: Schedules,
) -> list[str]:
    jobs = Jobs(plane.ledger, plane.diagnoses)
    control = JobControl(plane.ledger, plane.dispatcher, plane.commands, plane.reconciler.kick)
    retrying = Retrying(plane.ledger, plane.dispatcher, submission)
    changes = ChangeServicer(submission, jobs, store)
    session = WorkerSessionServicer(settings, plane.sessions, plane.attempts, plane.registry, plane.stalls)
    JobServicer(submission, jobs, control, retrying, plane.deletion, plane.watches).add_to(server.grpc)
    queues = plane.queues.servicer(plane.registry, plane.diagnoses, submission.scope)
    v1.add_QueueServiceServicer_to_server(queues, server.grpc)
    v1.add_ScheduleServiceServicer_to_server(ScheduleServicer(schedules, jobs), server.grpc)
    v1.add_WorkerServiceServicer_to_server(WorkerServicer(plane.registry, plane.commands), server.grpc)
    v1.add_WorkerSessionServiceServicer_to_server(session, server.grpc)
    own = {"CatalogService": changes.catalog_handlers(), "FeatureService": changes.feature_handlers()}
    server.grpc.add_generic_rpc_handlers(
        tuple(ForwardingHandler(name, backends, own.get(name, {})) for name in FORWARDED)
    )
    return [*(f"mistudio.v1.{name}" for name in _OWN), *(forwarded_service(name).full_name for name in FORWARDED)]
