"""What the command line of a worker says."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mistudio_runtime.broker.names import WORKER_NAME
from mistudio_runtime.queues import Queue, QueueTable
from mistudio_runtime.settings import DEVICE

ALL_SERVICES = "all"
"""What --services takes for every service of the queue table."""
_NUMBER = re.compile(r":\d+$")


@dataclass(frozen=True)
class WorkerOptions:
    """Which services a worker is, under which name, with how many slots."""

    services: tuple[str, ...]
    name: str
    slots: dict[str, int]
    """Queue to jobs at a time, for every queue that the worker serves."""
    memory_limit_bytes: int | None
    """In place of the table's limit, for every job."""
    device: str | None = None
    """In place of the settings' device; None keeps that."""


def parse_options(services: Sequence[str], table: QueueTable, host: str, argv: Sequence[str]) -> WorkerOptions:
    """Reads the command line; ends the process with 2 and a sentence if it is wrong."""
    module = f"mistudio_{services[0]}" if services else "mistudio_runtime.worker"
    parser = argparse.ArgumentParser(f"python -m {module}", description="A worker of miStudio mesh.")
    if not services:
        known = f"{ALL_SERVICES}, or with commas: {', '.join(table.services)}"
        parser.add_argument("--services", required=True, help=f"{known}; a number after them (trainer:2) means nothing")
    parser.add_argument("--name", help="unique name (default: SERVICE@HOST-PID)")
    parser.add_argument("--queues", help="only these of the services' queues, with commas")
    parser.add_argument(
        "--slots", action="append", default=[], metavar="[QUEUE=]N", help="jobs at a time (default: the queue table's)"
    )
    parser.add_argument("--memory-limit", type=int, metavar="KB", help="memory a job (default: the queue table's)")
    parser.add_argument("--device", type=_device, help="cpu, cuda or cuda:N for jobs that name no device")
    given = parser.parse_args(argv)
    names = tuple(services) or _named(given.services, table)
    try:
        slots = _slots(_rows(names, given.queues, table), given.slots)
        name = _checked_name(given.name or _default_name(names, host))
    except ValueError as error:
        parser.error(str(error))
    limit = given.memory_limit * 1000 if given.memory_limit else None
    return WorkerOptions(names, name, slots, limit, given.device)


def _device(value: str) -> str:
    if not value or not DEVICE.fullmatch(value):
        raise argparse.ArgumentTypeError(f"{value!r} is not cpu, cuda or cuda:N")
    return value


def _named(services: str, table: QueueTable) -> tuple[str, ...]:
    # systemd tells two workers of one service apart by such a number, and has no way to take it off again.
    plain = _NUMBER.sub("", services)
    return table.services if plain == ALL_SERVICES else tuple(plain.split(","))


def _rows(services: Sequence[str], queues: str | None, table: QueueTable) -> list[Queue]:
    if unknown := sorted(set(services) - set(table.services)):
        raise ValueError(f"no such service: {', '.join(unknown)}; there are {', '.join(table.services)}")
    rows = [row for service in services for row in table.queues_of(service)]
    if queues is None:
        return rows
    chosen = queues.split(",")
    if strange := sorted(set(chosen) - {row.name for row in rows}):
        served = ", ".join(row.name for row in rows)
        raise ValueError(f"{', '.join(services)} does not serve {', '.join(strange)}; it serves {served}")
    return [row for row in rows if row.name in chosen]


def _slots(rows: Sequence[Queue], given: Sequence[str]) -> dict[str, int]:
    slots = {row.name: row.slots for row in rows}
    for item in given:
        queue, _, number = item.rpartition("=")
        if not number.isdigit() or int(number) < 1 or (queue and queue not in slots):
            raise ValueError(f"--slots {item}: give N or QUEUE=N with N at least 1; queues: {', '.join(slots)}")
        slots.update({queue: int(number)} if queue else dict.fromkeys(slots, int(number)))
    return slots


def _checked_name(name: str) -> str:
    if not WORKER_NAME.fullmatch(name):
        raise ValueError(f"the name {name!r} is too long, or holds other than letters, digits, '-', '_' and one '@'")
    return name


def _default_name(services: Sequence[str], host: str) -> str:
    role = services[0] if len(services) == 1 else "worker"
    return f"{role}@{re.sub(r'[^A-Za-z0-9_-]', '-', host)}-{os.getpid()}"
