"""One machine for all tests, the mesh installed on it once by the installer itself."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machine import BOOT_SECONDS, INSTALL_SECONDS, Machine
from served import CALM, all_served

import mistudio
from support.waiting import eventually


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.systemd)
            item.add_marker(pytest.mark.timeout(2 * INSTALL_SECONDS))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    machine = getattr(item, "funcargs", {}).get("machine")
    if report.failed and machine is not None:
        report.sections.append(("journal", machine.journal()))


@pytest.fixture(scope="session")
def bare() -> Iterator[Machine]:
    """A machine that systemd has booted, without the mesh."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine runs on this machine")
    machine = Machine()
    try:
        machine.boot()
        asyncio.run(eventually(machine.is_up, within=BOOT_SECONDS, what="systemd has booted"))
        yield machine
    finally:
        machine.remove()


@pytest.fixture(scope="session")
def installed(bare: Machine) -> Machine:
    """The same machine with profile `full` installed and reachable from outside; nothing is started."""
    bare.install("--profile", "full")
    bare.set("MISTUDIO_LISTEN", "0.0.0.0:50051")
    return bare


@pytest.fixture
async def machine(installed: Machine) -> Machine:
    """The machine with profile `full` running and every queue served."""
    installed.install("--profile", "full")
    installed.systemctl("start", "mistudio.target")
    with mistudio.Client(installed.address, retry=CALM) as client:
        await eventually(lambda: all_served(client), within=BOOT_SECONDS, what="every queue has a worker")
    return installed
