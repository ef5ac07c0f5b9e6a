"""What training measured, and what it will need."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.style import pairs, table
from mistudio.cli.render.units import number, size, span

_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = 24


def render_metrics(points: Sequence[v1.MetricPoint]) -> RenderableType:
    """Returns one line a metric and SAE: its course, the first value, the last, the least and the most."""
    if not points:
        return Text("nothing measured yet", style="dim")
    series: dict[tuple[str, str], list[v1.MetricPoint]] = {}
    for point in points:
        which = ", ".join(value for _, value in sorted(point.labels.items()))
        series.setdefault((which, point.name), []).append(point)
    made = table("of", "#metric", "#course", ">first", ">last", ">least", ">most", ">steps", ">tokens")
    for (which, name), line in series.items():
        values = [point.value for point in line]
        cells = [f"{value:.4g}" for value in (values[0], values[-1], min(values), max(values))]
        made.add_row(
            Text(which), name, Text(course(values), style="cyan"), *cells, str(line[-1].step), number(line[-1].tokens)
        )
    return made


def course(values: Sequence[float]) -> str:
    """Returns a curve in one line of at most 24 signs, each the mean of a stretch; values that are not finite lack."""
    width = -(-len(values) // _COLUMNS) or 1
    stretches = [list(filter(math.isfinite, values[at : at + width])) for at in range(0, len(values), width)]
    means = [sum(stretch) / len(stretch) if stretch else None for stretch in stretches]
    known = [mean for mean in means if mean is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return "".join(" " if mean is None else _bar(mean, low, high) for mean in means)


def _bar(value: float, low: float, high: float) -> str:
    return _BARS[round((len(_BARS) - 1) * (value - low) / (high - low))] if high > low else _BARS[3]


def render_estimate(answer: v1.EstimateTrainingResponse) -> RenderableType:
    """Returns the prediction."""
    grid = pairs()
    grid.add_row("host memory", size(answer.host_memory_bytes))
    if answer.device_memory_bytes:
        grid.add_row("device memory", size(answer.device_memory_bytes))
    grid.add_row("time", span(answer.duration.ToTimedelta().total_seconds()))
    return grid
