"""What training measured, and what it will need."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.style import pairs, table
from mistudio.cli.render.units import number, size, span


def render_metrics(points: Sequence[v1.MetricPoint]) -> RenderableType:
    """Returns one line a metric and SAE: the first value, the last, the least and the most."""
    if not points:
        return Text("nothing measured yet", style="dim")
    series: dict[tuple[str, str], list[v1.MetricPoint]] = {}
    for point in points:
        which = ", ".join(value for _, value in sorted(point.labels.items()))
        series.setdefault((which, point.name), []).append(point)
    made = table("of", "#metric", ">first", ">last", ">least", ">most", ">steps", ">tokens")
    for (which, name), line in series.items():
        values = [point.value for point in line]
        cells = [f"{value:.4g}" for value in (values[0], values[-1], min(values), max(values))]
        made.add_row(Text(which), name, *cells, str(line[-1].step), number(line[-1].tokens))
    return made


def render_estimate(answer: v1.EstimateTrainingResponse) -> RenderableType:
    """Returns the prediction."""
    grid = pairs()
    grid.add_row("host memory", size(answer.host_memory_bytes))
    if answer.device_memory_bytes:
        grid.add_row("device memory", size(answer.device_memory_bytes))
    grid.add_row("time", span(answer.duration.ToTimedelta().total_seconds()))
    return grid
