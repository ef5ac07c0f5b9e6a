"""`python -m chaos`: the long form; `--short` is what CI runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path

from chaos.plan import Plan, make_plan
from chaos.report import say
from chaos.storm import LONG_SECONDS, SHORT_SECONDS, storm


def short_plan(seed: int) -> Plan:
    """Returns the plan of the form that CI runs."""
    return make_plan(seed, seconds=SHORT_SECONDS, kills=16, others=12, jobs=90, poison=1, frozen=3.5)


def long_plan(seed: int, seconds: float = LONG_SECONDS) -> Plan:
    """Returns the plan of the long form."""
    share = seconds / LONG_SECONDS
    kills, others, jobs = (round(number * share) for number in (330, 260, 2500))
    return make_plan(seed, seconds=seconds, kills=kills, others=others, jobs=jobs, poison=5, frozen=3.5)


def main() -> None:
    """Runs; ends with 1 if a promise was broken."""
    parser = argparse.ArgumentParser("python -m chaos", description="Faults of every kind while real jobs run.")
    parser.add_argument("--seed", type=int, help="what happens and when (default: a new one)")
    parser.add_argument("--short", action="store_true", help="what CI runs, about a minute")
    parser.add_argument("--seconds", type=float, default=LONG_SECONDS, help="how long faults go on, in the long form")
    parser.add_argument("--home", type=Path, help="an empty folder to keep everything in (default: a temporary one)")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    say(f"seed {seed}")
    plan = short_plan(seed) if given.short else long_plan(seed, given.seconds)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        home = given.home or Path(folder)
        report = asyncio.run(storm(plan, home, say))
    for line in report.lines():
        say(line)
    say(json.dumps(report.figures()))
    sys.exit(1 if report.findings.broken() else 0)


if __name__ == "__main__":
    main()
