"""Makes streams, consumers and buckets from the queue table; safe to repeat and to run from many gateways."""

from __future__ import annotations

from typing import Any

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
from mistudio_runtime.broker.patience import patiently
from mistudio_runtime.queues import PRIORITIES, QueueTable
from mistudio_runtime.settings import Settings

MAX_QUEUED_JOBS = 1_000_000
"""Messages in all queues; one more is refused with RESOURCE_EXHAUSTED."""
MAX_EVENTS_PER_JOB = 100_000
"""Of each kind: so many log lines, and so many metric points."""
EVENT_DAYS = 30
DUPLICATE_WINDOW_SECONDS = 120.0
LEASE_FACTOR = 1.1
"""A worker's record outlives its last heartbeat by this times ack_wait."""
_DAY = 86_400.0
_OTHERWISE_THERE = 10058
"""The stream exists with another configuration."""


async def provision(js: JetStreamContext, table: QueueTable, settings: Settings) -> None:
    """Makes everything that the table needs, and brings what exists to the current configuration.

    Waits while a cluster elects or misses servers. Raises BrokerError if the broker is no cluster and is to be one.
    """
    await patiently("making the streams", lambda: _provision(js, table, settings))


async def _provision(js: JetStreamContext, table: QueueTable, settings: Settings) -> None:
    for stream in streams(settings):
        await _ensure_stream(js, stream)
    for consumer in consumers(table, settings):
        await js.add_consumer(names.JOBS_STREAM, consumer)
    for bucket in _buckets(settings):
        await _ensure_bucket(js, bucket)


async def workers_bucket(js: JetStreamContext, settings: Settings) -> KeyValue:
    """Opens, or makes, the bucket with one record a live worker; a record disappears with its worker."""
    return await patiently("opening the workers' records", lambda: _ensure_bucket(js, _workers(settings)))


async def queues_bucket(js: JetStreamContext, settings: Settings) -> KeyValue:
    """Opens, or makes, the bucket that says which queues are paused."""
    return await patiently("opening the queues' record", lambda: _ensure_bucket(js, _queues(settings)))


async def leases_bucket(js: JetStreamContext, settings: Settings) -> KeyValue:
    """Opens, or makes, the bucket with one record a device in use."""
    return await _ensure_bucket(js, _leases(settings))


def streams(settings: Settings) -> list[StreamConfig]:
    """Returns the streams as a gateway with these settings makes them."""
    return [_jobs_stream(settings), _events_stream(settings)]


def buckets(settings: Settings) -> list[StreamConfig]:
    """Returns what a gateway with these settings makes of the streams under the buckets; the rest is the client's."""
    return [_under(bucket) for bucket in _buckets(settings)]


def consumers(table: QueueTable, settings: Settings) -> list[ConsumerConfig]:
    """Returns the consumers of the stream JOBS as a gateway with these settings makes them."""
    return [_consumer(queue.name, priority, settings) for queue in table.queues for priority in PRIORITIES]


def _buckets(settings: Settings) -> list[KeyValueConfig]:
    return [_ledger(settings), _workers(settings), _queues(settings), _leases(settings)]


def _ledger(settings: Settings) -> KeyValueConfig:
    return KeyValueConfig(bucket=names.LEDGER_BUCKET, history=1, replicas=settings.nats_replicas)


def _workers(settings: Settings) -> KeyValueConfig:
    ttl = settings.ack_wait_seconds * LEASE_FACTOR
    return KeyValueConfig(bucket=names.WORKERS_BUCKET, history=1, ttl=ttl, replicas=settings.nats_replicas)


def _queues(settings: Settings) -> KeyValueConfig:
    return KeyValueConfig(bucket=names.QUEUES_BUCKET, history=1, replicas=settings.nats_replicas)


def _leases(settings: Settings) -> KeyValueConfig:
    return KeyValueConfig(bucket=names.LEASES_BUCKET, history=1, replicas=settings.nats_replicas)


def _under(bucket: KeyValueConfig) -> StreamConfig:
    ttl = bucket.ttl or 0.0
    return StreamConfig(
        name=names.bucket_stream(bucket.bucket),
        discard=DiscardPolicy.NEW,
        deny_delete=True,
        allow_rollup_hdrs=True,
        max_age=ttl,
        duplicate_window=min(ttl or DUPLICATE_WINDOW_SECONDS, DUPLICATE_WINDOW_SECONDS),
        max_msgs_per_subject=bucket.history,
        num_replicas=bucket.replicas,
        allow_direct=True,
        allow_atomic=True,
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
        allow_atomic=True,
        num_replicas=settings.nats_replicas,
    )


def _events_stream(settings: Settings) -> StreamConfig:
    return StreamConfig(
        name=names.EVENTS_STREAM,
        subjects=[f"{subject}.*" for subject in names.EVENT_SUBJECTS.values()],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_msgs_per_subject=MAX_EVENTS_PER_JOB,
        max_age=EVENT_DAYS * _DAY,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        allow_direct=True,
        allow_atomic=True,
        allow_msg_ttl=True,
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
    except BadRequestError as error:
        if error.err_code != _OTHERWISE_THERE:
            raise
        await js.update_stream(config)


async def _ensure_bucket(js: JetStreamContext, config: KeyValueConfig) -> KeyValue:
    try:
        found = await js.key_value(config.bucket)
    except NotFoundError:
        found = await js.create_key_value(config)
    wanted = _under(config)
    may_change = ("max_age", "duplicate_window", "num_replicas", "allow_direct", "allow_atomic")
    current: dict[str, Any] = {name: getattr(wanted, name) for name in may_change}
    there = (await js.stream_info(names.bucket_stream(config.bucket))).config
    if any(getattr(there, name) != value for name, value in current.items()):
        await js.update_stream(there.evolve(**current))
    return found
