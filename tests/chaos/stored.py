"""What the broker holds after a run: the ledger, the event log, and what is left in queues and leases."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from mistudio import v1
from mistudio_runtime.broker import names

_BATCH = 1000
_REVISION = re.compile(r"\.state\.(\d+)$")


@dataclass(frozen=True)
class StoredEvent:
    """An event as the log holds it."""

    sequence: int
    revision: int
    """Of the ledger's record that it tells of; 0 if it tells of none."""
    event: v1.JobEvent


@dataclass
class Stored:
    """Everything, read once."""

    jobs: dict[str, v1.Job] = field(default_factory=dict)
    events: dict[str, list[StoredEvent]] = field(default_factory=dict)
    """By job, in the order of the log."""
    queued: list[str] = field(default_factory=list)
    """Subjects of the messages in JOBS."""
    workers: list[str] = field(default_factory=list)
    """Workers with a record."""


async def read_stored(js: JetStreamContext) -> Stored:
    """Reads everything, past the gateways."""
    stored = Stored(jobs=await read_ledger(js))
    for event in await _events(js):
        stored.events.setdefault(event.event.job_id, []).append(event)
    info = await js.stream_info(names.JOBS_STREAM, subjects_filter=names.ALL_JOBS)
    stored.queued = sorted(info.state.subjects or {})
    stored.workers = await _keys(js, names.WORKERS_BUCKET)
    return stored


async def read_ledger(js: JetStreamContext) -> dict[str, v1.Job]:
    """Returns every record, by job id."""
    records = await _messages(js, names.bucket_stream(names.LEDGER_BUCKET), f"$KV.{names.LEDGER_BUCKET}.>", last=True)
    return {job.id: job for _, _, data in records if data and (job := v1.Job.FromString(data))}


async def _events(js: JetStreamContext) -> list[StoredEvent]:
    found = []
    for sequence, headers, data in await _messages(js, names.EVENTS_STREAM, names.ALL_EVENTS):
        match = _REVISION.search(headers.get(names.MESSAGE_ID, ""))
        found.append(StoredEvent(sequence, int(match[1]) if match else 0, v1.JobEvent.FromString(data)))
    return found


async def _keys(js: JetStreamContext, bucket: str) -> list[str]:
    info = await js.stream_info(names.bucket_stream(bucket), subjects_filter=f"$KV.{bucket}.>")
    keys = [subject.split(".", 2)[2] for subject in info.state.subjects or {}]
    return [key for key in keys if await _has_value(js, bucket, key)]


async def _has_value(js: JetStreamContext, bucket: str, key: str) -> bool:
    try:
        message = await js.get_last_msg(names.bucket_stream(bucket), f"$KV.{bucket}.{key}")
    except NotFoundError:  # it expired after its key had been read
        return False
    return "KV-Operation" not in (message.headers or {})


async def _messages(
    js: JetStreamContext, stream: str, subject: str, *, last: bool = False
) -> list[tuple[int, dict[str, str], bytes]]:
    policy = DeliverPolicy.LAST_PER_SUBJECT if last else DeliverPolicy.ALL
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=policy, inactive_threshold=60.0)
    subscription = await js.pull_subscribe(subject, stream=stream, config=config)
    found: list[tuple[int, dict[str, str], bytes]] = []
    left = (await subscription.consumer_info()).num_pending
    try:
        while left:
            for message in await subscription.fetch(min(_BATCH, left), timeout=10):
                found.append((message.metadata.sequence.stream, message.headers or {}, message.data))
                left -= 1
    finally:
        with contextlib.suppress(nats.errors.Error):
            await subscription.unsubscribe()
    return found
