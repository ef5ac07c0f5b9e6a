"""Queues and routes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.style import pairs, table
from mistudio.cli.render.units import size, span


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
    """Returns where a job would go, who would take it, and when."""
    grid = pairs()
    grid.add_row("queue", f"{route.queue}, priority {route.priority}")
    grid.add_row("subject", route.subject)
    grid.add_row("service", route.service)
    grid.add_row("workers", _workers(route))
    grid.add_row("position", f"{route.position} before it")
    grid.add_row("start", _start(route))
    return Group(grid, Text(route.explanation))


def _workers(route: v1.ExplainRouteResponse) -> Text:
    if not route.serving_workers:
        return Text("none", style="yellow")
    named = [name if name in route.workers else f"{name} (busy)" for name in route.serving_workers]
    return Text(", ".join(named))


def _start(route: v1.ExplainRouteResponse) -> str:
    if not route.HasField("expected_wait"):
        return "unknown" if route.serving_workers else "when a worker serves the queue"
    seconds = route.expected_wait.ToTimedelta().total_seconds()
    return f"in about {span(seconds)}" if seconds else "at once"
