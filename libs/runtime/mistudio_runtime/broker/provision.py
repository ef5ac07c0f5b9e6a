"""Makes streams, consumers and buckets from the queue table; safe to repeat and to run from many gateways."""

from __future__ import annotations

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, NotFoundError
from nats.js.kv import KeyValue

from mistudio_runtime.broker import names
from mistudio_runtime.queues import PRIORITIES, QueueTable
from mistudio_runtime.settings import Settings

MAX_QUEUED_JOBS = 1_000_000
"""Messages in all queues; one more is refused with RESOURCE_EXHAUSTED."""
MAX_EVENTS_PER_JOB = 100_000
EVENT_DAYS = 30
DUPLICATE_WINDOW_SECONDS = 120.0
LEASE_FACTOR = 1.5
"""A worker's record outlives its last heartbeat by this times ack_wait."""
_DAY = 86_400.0


async def provision(js: JetStreamContext, table: QueueTable, settings: Settings) -> None:
    """Makes everything that the table needs, and brings what exists to the current configuration."""
    for config in (_jobs_stream(settings), _events_stream(settings)):
        await _ensure_stream(js, config)
    for queue in table.queues:
        for priority in PRIORITIES:
            await js.add_consumer(names.JOBS_STREAM, _consumer(queue.name, priority, settings))
    await ledger_bucket(js, settings)
    await workers_bucket(js, settings)


async def ledger_bucket(js: JetStreamContext, settings: Settings) -> KeyValue:
    """Opens, or makes, the bucket with one record a job."""
    return await _ensure_bucket(
        js, KeyValueConfig(bucket=names.LEDGER_BUCKET, history=1, replicas=settings.nats_replicas)
    )


async def workers_bucket(js: JetStreamContext, settings: Settings) -> KeyValue:
    """Opens, or makes, the bucket with one record a live worker; a record disappears with its worker."""
    ttl = settings.ack_wait_seconds * LEASE_FACTOR
    return await _ensure_bucket(
        js, KeyValueConfig(bucket=names.WORKERS_BUCKET, history=1, ttl=ttl, replicas=settings.nats_replicas)
    )


def _jobs_stream(settings: Settings) -> StreamConfig:
    return StreamConfig(
        name=names.JOBS_STREAM,
        subjects=[names.ALL_JOBS],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_msgs=MAX_QUEUED_JOBS,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        num_replicas=settings.nats_replicas,
    )


def _events_stream(settings: Settings) -> StreamConfig:
    return StreamConfig(
        name=names.EVENTS_STREAM,
        subjects=[names.ALL_EVENTS],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_msgs_per_subject=MAX_EVENTS_PER_JOB,
        max_age=EVENT_DAYS * _DAY,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        allow_direct=True,
        num_replicas=settings.nats_replicas,
    )


def _consumer(queue: str, priority: int, settings: Settings) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=names.consumer(queue, priority),
        filter_subject=names.queue_filter(queue, priority),
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=settings.ack_wait_seconds,
        max_deliver=-1,  # the ledger counts attempts; a message that the broker gave up on would be a lost job
        max_ack_pending=-1,
    )


async def _ensure_stream(js: JetStreamContext, config: StreamConfig) -> None:
    try:
        await js.add_stream(config)
    except BadRequestError:
        await js.update_stream(config)


async def _ensure_bucket(js: JetStreamContext, config: KeyValueConfig) -> KeyValue:
    try:
        return await js.key_value(config.bucket)
    except NotFoundError:
        return await js.create_key_value(config)
