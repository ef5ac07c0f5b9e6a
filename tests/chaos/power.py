"""`python -m chaos.power`: the power fails for broker, gateways, workers and artifacts at once, several times.

Then the same once more with a broker that syncs when it likes: jobs that it acknowledged must be missing, or else the
simulation would drop nothing and prove nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

import nats.js.errors

from chaos.plan import make_plan
from chaos.power_disk import PowerDisk, impossible
from chaos.report import Report, say
from chaos.stage import Say, Stage
from chaos.stored import read_ledger
from chaos.topology import UNSYNCED, Topology

FAILURES = 5
SECONDS_BETWEEN = (4.0, 8.0)
JOBS_A_FAILURE = 120
_KILLS_A_FAILURE = 5  # every process of the mesh


async def fail_repeatedly(seed: int, folder: Path, failures: int, say: Say) -> Report:
    """Ends the power `failures` times under load; everything promised must be there and end."""
    draw = random.Random(seed)
    seconds = failures * (SECONDS_BETWEEN[1] + 10.0)
    plan = make_plan(seed, seconds=seconds, kills=0, others=0, jobs=failures * JOBS_A_FAILURE, poison=0, frozen=0)
    with PowerDisk(folder) as disk:
        home = disk.path / "home"
        home.mkdir()
        async with Stage(Topology(home), seed, say) as stage:
            requests = asyncio.create_task(stage.drive(plan.requests))
            for _ in range(failures):
                await asyncio.sleep(draw.uniform(*SECONDS_BETWEEN))
                await _power_failure(stage, disk)
                stage.topology.start_members()
                await stage.answers()
            await requests
            await stage.settle()
            return await stage.audited(failures * _KILLS_A_FAILURE)


async def count_lost_without_sync(seed: int, folder: Path, say: Say) -> tuple[int, int]:
    """Returns how many acknowledged jobs one power failure costs, and of how many, where the broker does not sync."""
    plan = make_plan(seed, seconds=6.0, kills=0, others=0, jobs=JOBS_A_FAILURE, poison=0, frozen=0)
    with PowerDisk(folder) as disk:
        home = disk.path / "home"
        home.mkdir()
        async with Stage(Topology(home, broker=UNSYNCED), seed, say) as stage:
            requests = asyncio.create_task(stage.drive(plan.requests))
            await asyncio.sleep(plan.seconds)
            requests.cancel()
            await asyncio.gather(requests, return_exceptions=True)
            promised = set(stage.traffic.promised)
            await _power_failure(stage, disk)
            return len(promised - await _recorded(stage)), len(promised)


async def _recorded(stage: Stage) -> set[str]:
    try:
        return set(await read_ledger(stage.js))
    except nats.js.errors.NotFoundError:
        return set()  # not even the bucket is there


async def _power_failure(stage: Stage, disk: PowerDisk) -> None:
    disk.fail()
    stage.tell(f"the power fails; {len(stage.traffic.promised)} jobs are promised")
    await asyncio.to_thread(stage.topology.server.kill)
    await stage.topology.kill_members()
    stage.tell(f"the power is back: {await asyncio.to_thread(disk.come_back)}")
    for left in stage.topology.temporary.iterdir():  # as a machine does when it starts
        shutil.rmtree(left)
    await asyncio.to_thread(stage.topology.server.start)


def main() -> None:
    """Runs; ends with 1 if a promise was broken, or the simulation dropped nothing."""
    parser = argparse.ArgumentParser("python -m chaos.power", description="Power failures under load.")
    parser.add_argument("--seed", type=int, help="what happens and when (default: a new one)")
    parser.add_argument("--failures", type=int, default=FAILURES, help="how often the power fails")
    given = parser.parse_args()
    if why := impossible():
        say(f"skipped: {why}")
        return
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as first, tempfile.TemporaryDirectory(prefix="chaos-") as second:
        report = asyncio.run(fail_repeatedly(seed, Path(first), given.failures, say))
        say("the same with a broker that syncs when it likes")
        dropped, of = asyncio.run(count_lost_without_sync(seed, Path(second), say))
    for line in report.lines():
        say(line)
    figures = {**report.figures(), "power_failures": given.failures}
    say(json.dumps(figures | {"lost_without_sync": dropped, "jobs_without_sync": of}))
    sys.exit(1 if report.findings.broken() or not dropped else 0)


if __name__ == "__main__":
    main()
