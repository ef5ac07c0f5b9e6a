"""`python -m chaos`: the long form, scenario by scenario; `--short` is what CI runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from chaos import full_disk
from chaos.backlog import backlog
from chaos.plan import Plan, make_plan
from chaos.report import Report, say, total
from chaos.storm import LONG_SECONDS, SHORT_SECONDS, storm

Scenario = Callable[[int, Path], Awaitable[Report]]


def short_plan(seed: int) -> Plan:
    """Returns the plan of the form that CI runs."""
    return make_plan(seed, seconds=SHORT_SECONDS, kills=14, others=10, jobs=70, poison=1, frozen=3.5)


def long_plan(seed: int, seconds: float = LONG_SECONDS) -> Plan:
    """Returns the plan of the long form."""
    share = seconds / LONG_SECONDS
    kills, others, jobs = (round(number * share) for number in (330, 260, 2500))
    return make_plan(seed, seconds=seconds, kills=kills, others=others, jobs=jobs, poison=5, frozen=3.5)


def _scenarios(seconds: float) -> dict[str, Scenario]:
    return {
        "storm": lambda seed, home: storm(long_plan(seed, seconds), home, say),
        "backlog": lambda seed, home: backlog(seed, home, say),
        "full-disks": lambda seed, home: full_disk.full_disks(seed, home, say),
    }


def main() -> None:
    """Runs; ends with 1 if a promise was broken."""
    parser = argparse.ArgumentParser("python -m chaos", description="Faults of every kind while real jobs run.")
    parser.add_argument("--seed", type=int, help="what happens and when (default: a new one)")
    parser.add_argument("--short", action="store_true", help="what CI runs, about a minute")
    parser.add_argument("--seconds", type=float, default=LONG_SECONDS, help="how long the storm lasts")
    parser.add_argument("--only", choices=[*_scenarios(0)], help="only this scenario")
    parser.add_argument("--home", type=Path, help="an empty folder to keep everything in (default: a temporary one)")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    say(f"seed {seed}")
    scenarios = _scenarios(given.seconds)
    if given.short:
        scenarios = {"storm": lambda seed, home: storm(short_plan(seed), home, say)}
    elif given.only:
        scenarios = {given.only: scenarios[given.only]}
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        reports = [_run(name, scenario, seed, given.home or Path(folder)) for name, scenario in scenarios.items()]
    everything = total([report for report in reports if report is not None])
    for line in everything.lines():
        say(line)
    say(json.dumps(everything.figures()))
    sys.exit(1 if everything.findings.broken() else 0)


def _run(name: str, scenario: Scenario, seed: int, folder: Path) -> Report | None:
    if name == "full-disks" and (why := full_disk.impossible()):
        say(f"full-disks: skipped: {why}")
        return None
    say(f"scenario {name}")
    home = folder / name
    home.mkdir(parents=True)
    return asyncio.run(scenario(seed, home))


if __name__ == "__main__":
    main()
