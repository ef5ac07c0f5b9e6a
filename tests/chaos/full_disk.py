"""Disks that are full for a while, under the broker and under the artifacts: all goes on when there is room again."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos.plan import make_plan
from chaos.report import Report
from chaos.stage import Say, Stage
from chaos.topology import Topology

SECONDS = 30.0
_FULL_SECONDS = 8.0
_BROKER_MEGABYTES = 160
_ARTIFACTS_MEGABYTES = 16
_BLOCK = bytes(2**16)


def impossible() -> str:
    """Returns why a small disk cannot be mounted here, "" if it can."""
    if os.geteuid():
        return "only root can mount a small disk"
    return "" if shutil.which("mount") else "mount is not installed"


async def full_disks(seed: int, home: Path, say: Say, *, jobs: int = 120) -> Report:
    """Fills the disk of the artifacts, then that of the embedded broker, under load."""
    plan = make_plan(seed, seconds=SECONDS, kills=0, others=0, jobs=jobs, poison=0, frozen=0)
    artifacts, broker = home / "store", home / "broker"
    with _small_disk(artifacts, _ARTIFACTS_MEGABYTES), _small_disk(broker, _BROKER_MEGABYTES):
        async with Stage(Topology(home, broker=None, artifacts=artifacts), seed, say) as stage:
            requests = asyncio.create_task(stage.drive(plan.requests))
            await asyncio.sleep(SECONDS / 5)
            for folder in (artifacts, broker):
                await _fill_for_a_while(stage, folder)
            await requests
            await stage.settle()
            return await stage.audited(0)


async def _fill_for_a_while(stage: Stage, folder: Path) -> None:
    ballast = folder / ".ballast"
    await asyncio.to_thread(_fill, ballast)
    stage.tell(f"the disk of {folder.name} is full; {len(stage.traffic.promised)} jobs are promised")
    await asyncio.sleep(_FULL_SECONDS)
    ballast.unlink()
    stage.tell(f"the disk of {folder.name} has room again; {len(stage.traffic.promised)} jobs are promised")


def _fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(_BLOCK)


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
