"""A gateway that has not heard yet of what another one has done refuses nothing for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mistudio import v1
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.ledger import Ledger
from mistudio_gateway.queues.plane import start_queues
from mistudio_gateway.submission import Submission
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import InvalidRequestError
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings
from support.broker import NatsServer
from support.gateway_parts import GatewayParts, gateway_parts, queued
from support.mesh import quick_job

Parts = tuple[GatewayParts, Submission]


@pytest.fixture
async def parts(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Parts]:
    """A gateway, and the submission of another one whose mirror hears of nothing."""
    settings, table = Settings(home=tmp_path), load_queues()
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(gateway_parts(nats_server.url))
        queues = await start_queues(gateway.client, settings, table, stack)
        store = ArtifactStore.open(settings.artifacts_url)
        ledger = Ledger(gateway.client, gateway.log)
        dispatcher = Dispatcher(gateway.client, gateway.client.jetstream())
        yield gateway, Submission(ledger, dispatcher, store, settings, table=table, limits=queues.limits)


async def test_a_job_may_depend_on_one_that_another_gateway_has_just_recorded(parts: Parts) -> None:
    gateway, late = parts
    await gateway.ledger.create(queued("job-parent"))
    job = await late.submit(quick_job(depends_on=["job-parent"]))
    assert [*job.depends_on] == ["job-parent"]


async def test_a_job_may_depend_on_one_that_another_gateway_has_just_put_back(parts: Parts) -> None:
    gateway, late = parts
    await gateway.ledger.create(queued("job-parent"))
    await gateway.end("job-parent")
    with pytest.raises(InvalidRequestError):
        await late.submit(quick_job(depends_on=["job-parent"]))

    def put_back(job: v1.Job) -> None:
        job.state = v1.JOB_STATE_QUEUED

    await gateway.ledger.change("job-parent", put_back)
    job = await late.submit(quick_job(depends_on=["job-parent"]))
    assert [*job.depends_on] == ["job-parent"]


async def test_what_no_gateway_knows_is_refused(parts: Parts) -> None:
    _, late = parts
    with pytest.raises(InvalidRequestError) as refused:
        await late.submit(quick_job(depends_on=["job-none", "../job"]))
    assert [violation.field for violation in refused.value.violations] == ["job.depends_on[0]", "job.depends_on[1]"]
