"""Which processes a profile means, read from the queue table."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mistudio_runtime.queues import QueueTable

GATEWAY_COMMAND = (sys.executable, "-m", "mistudio_gateway")
MOST = 256
"""Processes of one worker: more are a slip of the finger, and would take the machine down."""
COMBINED = "worker"
"""Name of a process that serves several services."""
_MOST_DIGITS = 20


class PlanError(Exception):
    """A profile or a scale does not exist; the message lists what does."""


@dataclass(frozen=True)
class WorkerPlan:
    """One worker process."""

    name: str
    services: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """How it is started."""
        if len(self.services) == 1:
            return sys.executable, "-m", f"mistudio_{self.services[0]}"
        return sys.executable, "-m", "mistudio_runtime.worker", "--services", ",".join(self.services)


@dataclass(frozen=True)
class StackPlan:
    """A profile, scaled."""

    profile: str
    workers: tuple[WorkerPlan, ...]
    queues: tuple[str, ...]
    """Queues that the workers serve, in the table's order."""
    gateway: tuple[str, ...] = GATEWAY_COMMAND
    """How the gateway is started."""


def plan_stack(table: QueueTable, profile: str, scale: Mapping[str, int]) -> StackPlan:
    """Reads a profile; `scale` says how many of a worker process there are, 1 by default. Raises PlanError."""
    if profile not in table.profiles:
        raise PlanError(f"there is no profile {profile!r}; choose one of {', '.join(table.profiles)}")
    processes = {_name(services): services for services in table.profiles[profile]}
    for name, count in scale.items():
        if name not in processes:
            raise PlanError(f"profile {profile} has no process {name!r} to scale; it has {', '.join(processes)}")
        if count < 1:
            raise PlanError(f"--scale {name}={count}: take at least 1")
        if count > MOST:
            raise PlanError(f"--scale {name}: take at most {MOST}")
    workers = tuple(
        WorkerPlan(numbered, services)
        for name, services in processes.items()
        for numbered in _numbered(name, scale.get(name, 1))
    )
    served = {service for services in processes.values() for service in services}
    return StackPlan(profile, workers, tuple(queue.name for queue in table.queues if queue.service in served))


def parse_scale(values: Sequence[str]) -> dict[str, int]:
    """Reads `trainer=2` and the like. Raises PlanError."""
    scale = {}
    for value in values:
        name, equals, count = value.partition("=")
        if not (name and equals and count.isdecimal()):
            raise PlanError(f"--scale {value}: write it as trainer=2")
        # Python refuses to read thousands of digits.
        scale[name] = int(count) if len(count) < _MOST_DIGITS else MOST + 1
    return scale


def _name(services: Sequence[str]) -> str:
    return services[0] if len(services) == 1 else COMBINED


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
