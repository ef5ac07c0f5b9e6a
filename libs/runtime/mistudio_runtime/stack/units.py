"""python -m mistudio_runtime.stack.units: the systemd instances that a profile means, for deploy/systemd/install.sh.

It needs nothing but the standard library, so that the installer can ask before anything is installed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mistudio_runtime.queues import Queue, QueueTable, QueueTableError, load_queues
from mistudio_runtime.stack.plan import PlanError, WorkerPlan, parse_scale, plan_stack

OWN_BYTES = 1_500_000_000
"""What a worker takes beside its jobs: itself, and the process with torch that its jobs' processes are forked from."""
ALL_SERVICES = "all"
_BAD_USAGE = 2


@dataclass(frozen=True)
class WorkerUnit:
    """One instance of mistudio-worker@.service."""

    instance: str
    """As systemd wants it: `trainer`, `trainer:2`, `all`, `curator\\x2cingest`."""
    memory_bytes: int | None
    """For MemoryMax=: what its jobs may take together, and its own; None if a queue of it has no limit."""


def worker_units(table: QueueTable, profile: str, scale: Mapping[str, int]) -> list[WorkerUnit]:
    """Returns the instances of a profile, numbered from the second of a kind on. Raises PlanError."""
    seen: Counter[str] = Counter()
    units = []
    for worker in plan_stack(table, profile, scale).workers:
        name = _instance(worker, table)
        seen[name] += 1
        number = f":{seen[name]}" if seen[name] > 1 else ""
        units.append(
            WorkerUnit(name + number, _memory([row for one in worker.services for row in table.queues_of(one)]))
        )
    return units


def main() -> None:
    """Prints an instance and its memory in bytes (or `-`) a line; ends with 2 and a sentence if it cannot."""
    arguments = _parser().parse_args()
    try:
        units = worker_units(load_queues(arguments.table), arguments.profile, parse_scale(arguments.scale))
    except (QueueTableError, PlanError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_BAD_USAGE)
    sys.stdout.writelines(f"{unit.instance} {unit.memory_bytes or '-'}\n" for unit in units)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m mistudio_runtime.stack.units", description="A profile's systemd units.")
    parser.add_argument("--profile", required=True, help="a profile of the queue table")
    parser.add_argument("--scale", action="append", default=[], metavar="NAME=N", help="N of a worker, e.g. trainer=2")
    parser.add_argument("--table", type=Path, metavar="FILE", help="a queue table in place of the shipped one")
    return parser


def _instance(worker: WorkerPlan, table: QueueTable) -> str:
    if len(worker.services) > 1 and set(worker.services) == set(table.services):
        return ALL_SERVICES
    return escape(",".join(worker.services))


def escape(text: str) -> str:
    """Writes what a unit's name cannot hold as systemd-escape does; %I in the unit is the text again."""
    return re.sub(r"[^A-Za-z0-9:_.]|^\.", lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode()), text)


def _memory(rows: Sequence[Queue]) -> int | None:
    limits = [row.memory_limit_bytes and row.memory_limit_bytes * row.slots for row in rows]
    return sum(limit for limit in limits if limit) + OWN_BYTES if all(limits) else None


if __name__ == "__main__":
    main()
