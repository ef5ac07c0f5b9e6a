"""Figures: a table for people, one JSON object for programs."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """What a figure is to reach."""

    limit: float
    at_least: bool

    def met(self, value: float) -> bool:
        """Tells whether a value reaches it."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:.4g}"


@dataclass(frozen=True)
class Figure:
    """One measured value, with the peer's if there is one."""

    key: str
    """Name in the JSON object; it ends with the unit."""
    value: float | None
    """None if it could not be measured; `note` then says why."""
    target: Target | None = None
    peer_key: str = ""
    peer: float | None = None
    note: str = ""
    """One phrase: what was counted."""
    details: dict[str, Any] = field(default_factory=dict)
    """More for the JSON object, by key."""


def percentile(values: Sequence[float], percent: float) -> float:
    """Returns the value that `percent` of at least one value do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    """Returns the median of at least one value."""
    return statistics.median(values)


def ratio(value: float | None, peer: float | None) -> float | None:
    """Returns how many times the peer's value a value is; None without one of them."""
    return value / peer if value is not None and peer else None


def print_table(figures: Sequence[Figure], peer: str = "Celery") -> None:
    """Prints one line a figure: what, ours, the peer's, the target and whether it is met."""
    width = max((len(figure.key) for figure in figures), default=0)
    print(f"\n{'figure':{width}}  {'miStudio':>10}  {peer:>10}  {'target':>10}")
    for figure in figures:
        target = str(figure.target) if figure.target else ""
        cells = f"{_number(figure.value):>10}  {_number(figure.peer):>10}  {target:>10}"
        print(f"{figure.key:{width}}  {cells}  {_verdict(figure):5}  {figure.note}".rstrip())
    print()


def as_json(figures: Sequence[Figure]) -> str:
    """Returns all figures as one JSON object; what could not be measured is null."""
    result: dict[str, Any] = {}
    for figure in figures:
        peer_only = figure.value is None and not figure.peer_key
        result[figure.key] = _rounded(figure.peer if peer_only else figure.value)
        if figure.peer_key:
            result[figure.peer_key] = _rounded(figure.peer)
        result |= figure.details
    return json.dumps(result)


def _verdict(figure: Figure) -> str:
    if figure.target is None or figure.value is None:
        return ""
    return "met" if figure.target.met(figure.value) else "SHORT"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
