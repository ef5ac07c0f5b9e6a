"""How fast a job trained, from the times of its points."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from statistics import median

from mistudio.v1 import MetricPoint
from mistudio_trainer.report.curve import Curve

_INTERVALS = 200
_REST = 20.0
"""Intervals so much longer than usual hold a rest between two attempts."""


def throughput(points: Iterable[MetricPoint]) -> Curve:
    """Returns tokens a second, harvest and evaluations included, each value over one of at most 200 intervals.

    Intervals in which the job did not run are left out.
    """
    clock = sorted({point.tokens: point.time.seconds + point.time.nanos / 1e9 for point in points}.items())
    steps = [(b[0], b[0] - a[0], b[1] - a[1]) for a, b in pairwise(clock) if b[1] > a[1]]
    if not steps:
        return Curve((), ())
    usual = median(seconds / tokens for _, tokens, seconds in steps)
    steps = [step for step in steps if step[2] / step[1] < _REST * usual]
    width = -(-len(steps) // _INTERVALS)
    groups = [steps[start : start + width] for start in range(0, len(steps), width)]
    rates = tuple(sum(step[1] for step in group) / sum(step[2] for step in group) for group in groups)
    return Curve(tuple(group[-1][0] for group in groups), rates)
