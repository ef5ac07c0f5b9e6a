"""Curves of metrics, thin enough to be drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mistudio.v1 import MetricPoint


@dataclass(frozen=True)
class Curve:
    """Values over tokens trained on; finite, in rising order of tokens."""

    tokens: tuple[int, ...]
    values: tuple[float, ...]

    def thinned(self, most: int) -> Curve:
        """Returns at most about `most` points: the lowest and the highest of each of `most` / 2 stretches.

        So no peak goes missing, as it would if every n-th point were taken.
        """
        width = -(-2 * len(self.tokens) // most)
        if len(self.tokens) <= most:
            return self
        kept: set[int] = {0, len(self.tokens) - 1}
        for start in range(0, len(self.tokens), width):
            stretch = range(start, min(start + width, len(self.tokens)))
            kept |= {min(stretch, key=self.values.__getitem__), max(stretch, key=self.values.__getitem__)}
        places = sorted(kept)
        return Curve(tuple(self.tokens[i] for i in places), tuple(self.values[i] for i in places))

    def series(self, label: str, role: str) -> dict[str, Any]:
        """Returns it for the page; `role` decides its looks."""
        return {"label": label, "role": role, "x": list(self.tokens), "y": [rounded(value) for value in self.values]}


def curves(points: Iterable[MetricPoint]) -> dict[str, Curve]:
    """Returns the curve of each metric of one SAE; values that are not finite are left out."""
    pairs: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        if math.isfinite(point.value):
            pairs.setdefault(point.name, []).append((point.tokens, point.value))
    made = {name: sorted(line, key=lambda pair: pair[0]) for name, line in pairs.items()}
    return {name: Curve(*map(tuple, zip(*line, strict=True))) for name, line in made.items()}


def rounded(value: float) -> float:
    """Returns the value with the five digits that a plot can show."""
    return float(f"{value:.5g}")
