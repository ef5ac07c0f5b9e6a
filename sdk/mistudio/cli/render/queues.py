"""Queues and routes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.style import pairs, table
from mistudio.cli.render.units import size


def render_queues(queues: Sequence[v1.Queue]) -> RenderableType:
    """Returns a table of queues; what is wrong with one stands below with the command that helps."""
    made = table("#queue", ">priority", ">queued", ">running", ">slots", ">memory", "#service", "workers")
    for queue in queues:
        name = Text.assemble(queue.name, (" paused", "yellow") if queue.paused else "")
        made.add_row(
            name,
            str(queue.priority),
            str(queue.queued),
            str(queue.running),
            str(queue.slots),
            size(queue.memory_limit_bytes) if queue.memory_limit_bytes else "none",
            queue.service,
            Text(", ".join(queue.workers)) if queue.workers else Text("none", style="yellow"),
        )
    notes = [Text(f"{queue.name}: {queue.diagnosis}", style="yellow") for queue in queues if queue.diagnosis]
    return Group(made, *notes)


def render_route(route: v1.ExplainRouteResponse) -> RenderableType:
    """Returns where a job would go."""
    grid = pairs()
    grid.add_row("queue", f"{route.queue}, priority {route.priority}")
    grid.add_row("subject", route.subject)
    grid.add_row("service", route.service)
    grid.add_row("workers", Text(", ".join(route.workers)) if route.workers else Text("none", style="yellow"))
    grid.add_row("position", f"{route.position} before it")
    return Group(grid, Text(route.explanation))
