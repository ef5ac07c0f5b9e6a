"""Three brokers and two gateways in containers: any one of them may die while jobs run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from compose_stack import ComposeStack
from demo_jobs import assert_made_once, finish, submit_small

import mistudio
from support.waiting import eventually

BUILD_SECONDS = 3600.0
SERVICES = ("broker", "broker-2", "broker-3", "gateway", "gateway-2", "curator")
CHECKS = ("broker", "streams")


@pytest.fixture
def cluster() -> Iterator[ComposeStack]:
    """The cluster with a curator as its only worker, not yet up."""
    stack = ComposeStack("datasets", overrides=("compose.cluster.yaml",))
    stack.compose("build", "--quiet", "gateway", "curator", seconds=BUILD_SECONDS)
    try:
        yield stack
    finally:
        stack.remove()


async def test_one_of_each_may_die(cluster: ComposeStack) -> None:
    cluster.up(*SERVICES)
    with mistudio.Client(",".join(cluster.addresses), timeout=120) as client:
        [worker] = client.workers.list()
        assert worker.worker.services == ["curator"]
        jobs = submit_small(client, 5)
        for victim in ("broker", "gateway", "gateway-2"):
            await cluster.crash(victim)
            jobs += submit_small(client, 5)
        made = finish(jobs)
        assert len(made) == 20
        assert_made_once(client, made)

        def bad() -> list[str]:
            findings = client.mesh.check().findings
            return [one.message for one in findings if one.check in CHECKS and one.severity != mistudio.v1.SEVERITY_OK]

        await eventually(lambda: bad() == [], within=60, what="the doctor finds nothing wrong with the brokers")
