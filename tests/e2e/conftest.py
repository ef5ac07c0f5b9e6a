"""A mesh of the real services that the tests of the API page and of the examples share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.broker import NatsServer
from support.mesh import Mesh
from support.waiting import eventually

WORKERS = {
    "all@1": ("mistudio_runtime.worker", "--services", "all"),
    "curator@spare": ("mistudio_curator",),
}


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def workshop_mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """Broker, gateway, one worker for everything, and another curator that a test may drain."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        async with Mesh(tmp_path_factory.mktemp("shared") / "home", server.url) as mesh:
            mesh.environment["MISTUDIO_ACK_WAIT_SECONDS"] = "10"
            del mesh.environment["MISTUDIO_SCHEDULES_FILE"]  # the page shows the shipped table
            await mesh.gateway()
            for name, (module, *arguments) in WORKERS.items():
                mesh.start("-m", module, *arguments, "--name", name)
            for name in WORKERS:
                await eventually(lambda name=name: mesh.attached(name), within=90, what=f"{name} is attached")
            yield mesh
