"""What a gateway has to watch jobs with, in this process, on a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nats.aio.client import Client

from mistudio import v1
from mistudio_gateway.event_feeds import EventFeeds
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.ledger import Ledger
from mistudio_gateway.watch import Watches
from mistudio_runtime.broker.connection import connect
from mistudio_runtime.broker.provision import provision
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings

DIAGNOSIS = "it waits for the test"


@dataclass
class GatewayParts:
    """One gateway without its sockets."""

    client: Client
    log: EventLog
    ledger: Ledger
    watches: Watches

    async def watch(self, job_id: str, after: int = 0, *, replay_only: bool = False) -> AsyncIterator[v1.JobEvent]:
        """Yields a job's events as a client gets them."""
        request = v1.WatchJobRequest(job_id=job_id, after_sequence=after, replay_only=replay_only)
        answers = self.watches.watch(request)
        try:
            async for answer in answers:
                yield v1.WatchJobResponse.FromString(answer).event
        finally:
            await answers.aclose()

    async def end(self, job_id: str) -> None:
        """Cancels a job that nobody runs."""

        def cancel(job: v1.Job) -> None:
            job.state = v1.JOB_STATE_CANCELLED
            job.end_time.GetCurrentTime()
            job.update_time.GetCurrentTime()

        await self.ledger.change(job_id, cancel)


@asynccontextmanager
async def gateway_parts(nats_url: str) -> AsyncIterator[GatewayParts]:
    """Starts the parts, and what they need in the broker."""
    client = await connect(nats_url, "test")
    settings = Settings()
    await provision(client.jetstream(), load_queues(settings.queues_file), settings)
    log = EventLog(client)
    ledger = Ledger(client, log)
    await ledger.start()
    feeds = EventFeeds(client, log, ledger, lambda _: DIAGNOSIS)
    try:
        yield GatewayParts(client, log, ledger, Watches(ledger, log, feeds))
    finally:
        await feeds.stop()
        await ledger.stop()
        log.stop()
        await client.close()


def queued(job_id: str) -> v1.Job:
    """Returns the record of a job that waits for a worker."""
    job = v1.Job(id=job_id, kind="collect_garbage", queue="low_priority", state=v1.JOB_STATE_QUEUED, enqueue_count=1)
    job.create_time.GetCurrentTime()
    job.update_time.GetCurrentTime()
    return job


def metric(job_id: str, value: float) -> v1.JobEvent:
    """Returns a measured value."""
    return v1.JobEvent(job_id=job_id, attempt=1, metric=v1.MetricPoint(name="loss", value=value))


def line(job_id: str, text: str) -> v1.JobEvent:
    """Returns a log line."""
    return v1.JobEvent(job_id=job_id, attempt=1, log=v1.LogLine(level="info", message=text))


def progress(job_id: str, fraction: float) -> v1.JobEvent:
    """Returns how far a job is."""
    return v1.JobEvent(job_id=job_id, attempt=1, progress=v1.Progress(fraction=fraction))
