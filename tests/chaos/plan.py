"""What is going to happen: the same seed makes the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

KILLS = {"kill_child": 36, "kill_worker": 26, "kill_gateway": 18, "kill_broker": 14, "kill_forkserver": 6}
"""Weights of what is killed."""
OTHERS = {
    "freeze_worker": 14,
    "freeze_gateway": 8,
    "freeze_broker": 6,
    "cut": 24,
    "blackhole": 16,
    "slow": 10,
    "double": 14,
    "garbage": 8,
}
"""Weights of what else happens."""
LINKS = ("client-gateway", "worker-gateway", "worker-broker", "gateway-broker")
JOBS = {
    "quick": 40,
    "count": 26,
    "transient_once": 5,
    "permanent": 3,
    "retried": 3,
    "pipeline": 7,
    "cancelled": 8,
    "paused": 8,
}
"""Weights of what clients ask for."""


@dataclass(frozen=True)
class Fault:
    """Something that breaks at a moment, and for how long."""

    at: float
    """Seconds after the beginning."""
    kind: str
    """A key of KILLS or OTHERS."""
    choice: float
    """From 0 to 1: which of those that there are."""
    seconds: float
    """How long it lasts: until a killed process is started again, a frozen one thawed, a link healed."""
    link: str = ""
    """One of LINKS, for a fault of a link."""


@dataclass(frozen=True)
class Request:
    """A job, or a pipeline, that a client asks for."""

    number: int
    at: float
    """Seconds after the beginning."""
    kind: str
    """A key of JOBS, or "poison"."""
    priority: int
    steps: int
    """How far it counts."""
    patience: float
    """Seconds until its client cancels or pauses it, if that is its kind."""


@dataclass(frozen=True)
class Plan:
    """Faults and requests, in order of time."""

    seed: int
    seconds: float
    faults: tuple[Fault, ...]
    requests: tuple[Request, ...]


def make_plan(seed: int, *, seconds: float, kills: int, others: int, jobs: int, poison: int, frozen: float) -> Plan:
    """Makes a plan; `frozen` is for how long at least a frozen process stands, in seconds."""
    draw = random.Random(seed)
    first, last = 3.0, seconds - 4.0
    faults = [_fault(draw, KILLS, draw.uniform(first, last), frozen) for _ in range(kills)]
    faults += [_fault(draw, OTHERS, draw.uniform(first, last), frozen) for _ in range(others)]
    kinds = [*_drawn(draw, JOBS, jobs - poison), *(["poison"] * poison)]
    draw.shuffle(kinds)
    requests = [_request(draw, number, kind, seconds) for number, kind in enumerate(kinds)]
    return Plan(
        seed,
        seconds,
        tuple(sorted(faults, key=lambda fault: fault.at)),
        tuple(sorted(requests, key=lambda request: request.at)),
    )


def _fault(draw: random.Random, weights: dict[str, int], at: float, frozen: float) -> Fault:
    (kind,) = _drawn(draw, weights, 1)
    link = draw.choice(LINKS)
    seconds = draw.uniform(frozen, frozen + 2.0) if kind.startswith("freeze") else draw.uniform(0.0, 2.5)
    return Fault(round(at, 3), kind, draw.random(), round(seconds, 3), link if kind in _OF_LINKS else "")


_OF_LINKS = ("cut", "blackhole", "slow")


def _request(draw: random.Random, number: int, kind: str, seconds: float) -> Request:
    at = draw.uniform(0.0, seconds * 0.9)
    return Request(number, round(at, 3), kind, draw.randint(1, 10), draw.randint(3, 50), round(draw.uniform(0, 3), 3))


def _drawn(draw: random.Random, weights: dict[str, int], number: int) -> list[str]:
    return draw.choices(list(weights), list(weights.values()), k=number)


def chosen(things: Sequence[object], choice: float) -> int:
    """Returns which of the things a fault means."""
    return min(int(choice * len(things)), len(things) - 1)


def told(plan: Plan) -> Iterator[str]:
    """Says in lines what the plan holds."""
    for kind in (*KILLS, *OTHERS):
        if number := sum(fault.kind == kind for fault in plan.faults):
            yield f"plan: {number} x {kind}"
    for kind in (*JOBS, "poison"):
        if number := sum(request.kind == kind for request in plan.requests):
            yield f"plan: {number} x job {kind}"
