"""A client that knows several gateways uses those that are there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from client_servicers import Mesh, serve

import mistudio
from mistudio import v1
from mistudio.gateways import Gateways

QUICK = mistudio.RetryPolicy(first_delay=0.01, largest_delay=0.05, patience=5.0)
SPEC = mistudio.TrainSae(total_tokens=1000, hook_points=["layer.0.resid_post"])


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


@pytest.fixture
def addresses(mesh: Mesh) -> Iterator[str]:
    """A gateway that is there, and one that is not."""
    with serve(Mesh()) as closed:
        pass
    with serve(mesh) as address:
        yield f"{address},{closed}"


def begin_with_the_lost(gateways: Gateways, addresses: str) -> None:
    closed = addresses.split(",")[1]
    while gateways.current != closed:
        gateways.leave(gateways.current)


def test_blocking(mesh: Mesh, addresses: str) -> None:
    with mistudio.Client(addresses, retry=QUICK) as client:
        gateways = client._transport._gateways
        begin_with_the_lost(gateways, addresses)
        job = client.jobs.submit(SPEC)
        begin_with_the_lost(gateways, addresses)
        assert client.jobs.cancel(job.id).id == job.id
        assert mesh.calls.count("CancelJob") == 1
        mesh.runs_to(job.id, v1.JOB_STATE_SUCCEEDED)
        begin_with_the_lost(gateways, addresses)
        assert [event.sequence for event in client.jobs.watch(job.id)] == list(range(1, len(mesh.events[job.id]) + 1))
        begin_with_the_lost(gateways, addresses)
        assert client.ready(5.0)
        assert client.address == addresses


async def test_asyncio(mesh: Mesh, addresses: str) -> None:
    async with mistudio.AsyncClient(addresses, retry=QUICK) as client:
        gateways = client._transport._gateways
        begin_with_the_lost(gateways, addresses)
        job = await client.jobs.submit(SPEC)
        begin_with_the_lost(gateways, addresses)
        assert (await client.jobs.cancel(job.id)).id == job.id
        assert mesh.calls.count("CancelJob") == 1
        mesh.runs_to(job.id, v1.JOB_STATE_SUCCEEDED)
        begin_with_the_lost(gateways, addresses)
        events = [event.sequence async for event in client.jobs.watch(job.id)]
        assert events == list(range(1, len(mesh.events[job.id]) + 1))
        begin_with_the_lost(gateways, addresses)
        assert await client.ready(5.0)


def test_where_none_is_all_are_named(addresses: str) -> None:
    closed = addresses.split(",")[1]
    both = f"{closed},127.0.0.1:1"
    with mistudio.Client(both, retry=QUICK) as client, pytest.raises(mistudio.UnavailableError) as caught:
        client.queues.list()
    assert caught.value.message == f"no gateway answers at {both}"


async def test_a_gateway_that_came_late_is_found_when_the_first_goes(mesh: Mesh) -> None:
    with serve(Mesh()) as late:
        pass
    with serve(Mesh()) as first:
        client = mistudio.AsyncClient(f"{first},{late}")
        for _ in range(6):  # so often refused, a channel waits long until it tries again
            client._transport._gateways.leave(first)
            await client.ready(1.0)
    with serve(mesh, int(late.rpartition(":")[2])):
        assert (await client.jobs.submit(SPEC)).id
    await client.close()
