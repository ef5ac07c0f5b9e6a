"""The main scenario: faults of every kind, at their moments, while every kind of job runs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from chaos.faults import Faults
from chaos.plan import Plan, told
from chaos.report import Report
from chaos.stage import Say, Stage
from chaos.topology import Topology

CLOCK_SHIFTS = (0.0, 180.0, -240.0)
"""By how many seconds the workers' clocks are wrong."""
SHORT_SECONDS = 24.0
LONG_SECONDS = 900.0


async def storm(plan: Plan, home: Path, say: Say) -> Report:
    """Carries out a plan on two gateways and three workers; says what it breaks as it breaks it."""
    for line in told(plan):
        say(line)
    async with Stage(Topology(home, workers=len(CLOCK_SHIFTS), clock_shifts=CLOCK_SHIFTS), plan.seed, say) as stage:
        faults = Faults(stage.topology, stage.js, say)
        await asyncio.gather(faults.run(plan, time.monotonic()), stage.drive(plan.requests))
        stage.topology.heal()
        stage.tell(f"everything is healed; {len(stage.traffic.promised)} jobs were promised")
        await stage.settle()
        return await stage.audited(faults.kills)
