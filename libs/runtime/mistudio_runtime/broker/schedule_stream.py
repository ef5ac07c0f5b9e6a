"""The stream of schedules, if the broker can hold one, and the bucket with a record of each."""

from __future__ import annotations

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, BadRequestError, NotFoundError
from nats.js.kv import KeyValue

from mistudio_runtime.broker import names
from mistudio_runtime.broker.patience import patiently
from mistudio_runtime.broker.provision import DUPLICATE_WINDOW_SECONDS
from mistudio_runtime.settings import Settings

OLDEST = "2.12"
"""The first nats-server that holds a message back until its time."""
CONSUMER = "gateways"
DELIVERY = "mistudio.deliver.due"
"""Where the broker brings due messages to one of the gateways."""
PATTERNS = ("mistudio.schedules.*", "mistudio.due.*")


def schedules_stream(settings: Settings) -> StreamConfig:
    """Returns the stream as a gateway with these settings makes it."""
    return StreamConfig(
        name=names.SCHEDULES_STREAM,
        subjects=[*PATTERNS],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_msgs_per_subject=1,  # of each schedule one message waits, and one is due
        allow_msg_schedules=True,
        allow_rollup_hdrs=True,  # schedules bring it along
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        allow_direct=True,
        num_replicas=settings.nats_replicas,
    )


def due_consumer(settings: Settings) -> ConsumerConfig:
    """Returns the consumer that all gateways share: each due message is brought to one of them."""
    return ConsumerConfig(
        durable_name=CONSUMER,
        filter_subject=PATTERNS[1],
        deliver_policy=DeliverPolicy.ALL,
        deliver_subject=DELIVERY,
        deliver_group=CONSUMER,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=settings.ack_wait_seconds,
        max_deliver=-1,
    )


async def provision_schedules(js: JetStreamContext, settings: Settings) -> str:
    """Makes stream and consumer; returns one sentence that says why schedules cannot be had, or ""."""

    async def make() -> bool:
        if not await _ensure_stream(js, schedules_stream(settings)):
            return False
        await js.add_consumer(names.SCHEDULES_STREAM, due_consumer(settings))
        return True

    try:
        able = await patiently("making the stream of schedules", make)
    except (APIError, nats.errors.Error) as error:
        why = getattr(error, "description", None) or type(error).__name__
        return f"The broker refuses the stream {names.SCHEDULES_STREAM}, so schedules do not run ({why})."
    return "" if able else f"The broker is older than nats-server {OLDEST}, so schedules do not run."


async def schedules_bucket(js: JetStreamContext, settings: Settings) -> KeyValue:
    """Opens, or makes, the bucket with one record a schedule."""
    config = KeyValueConfig(bucket=names.SCHEDULES_BUCKET, history=1, replicas=settings.nats_replicas)

    async def make() -> KeyValue:
        try:
            return await js.key_value(config.bucket)
        except NotFoundError:
            return await js.create_key_value(config)

    return await patiently("opening the records of schedules", make)


async def _ensure_stream(js: JetStreamContext, config: StreamConfig) -> bool:
    """Makes the stream, or makes it so; False if this broker takes no notice of what is new in it."""
    try:
        info = await js.add_stream(config)
    except BadRequestError:
        info = await js.update_stream(config)
    return bool(info.config.allow_msg_schedules)
