"""Queues and routes."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.columns import Column, one_line_rows
from mistudio.cli.render.style import pairs
from mistudio.cli.render.units import number, size, span


def render_queues(queues: Sequence[v1.Queue]) -> RenderableType:
    """Returns a table of queues; what is wrong with one stands below with the command that helps."""
    notes = [Text(f"{queue.name}: {queue.diagnosis}", style="yellow") for queue in queues if queue.diagnosis]
    return Group(_Queues(queues), *notes)


class _Queues:
    """A line a queue, with as many columns as there is room for."""

    def __init__(self, queues: Sequence[v1.Queue]) -> None:
        self._queues = queues

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """Draws for the width that there is."""
        yield one_line_rows(COLUMNS, self._queues, options.max_width)


def queue_name(queue: v1.Queue) -> Text:
    """Returns a queue's name, marked if it is paused."""
    return Text.assemble(queue.name, (" paused", "yellow") if queue.paused else "")


def depths(queue: v1.Queue) -> str:
    """Returns how many jobs of each priority wait: p9:2 p5:40."""
    return " ".join(f"p{depth.priority}:{number(depth.queued)}" for depth in queue.depths)


def oldest(queue: v1.Queue) -> str:
    """Returns how long a job has waited at most; empty if none waits."""
    return _span(queue.oldest_wait) if queue.HasField("oldest_wait") else ""


def rate(queue: v1.Queue) -> str:
    """Returns jobs by the minute; empty if none has ended lately."""
    return number(queue.jobs_per_minute) if queue.jobs_per_minute else ""


def drain(queue: v1.Queue) -> str:
    """Returns when the jobs that wait will have started; empty if none waits, a question mark if nobody knows."""
    if not queue.queued:
        return ""
    return _span(queue.time_to_drain) if queue.HasField("time_to_drain") else "?"


def _span(time: Duration) -> str:
    return span(time.ToTimedelta().total_seconds()).replace(" ", "")


def _queue_workers(queue: v1.Queue) -> Text:
    return Text(", ".join(queue.workers)) if queue.workers else Text("none", style="yellow")


COLUMNS: list[Column[v1.Queue]] = [
    Column("queue", 20, queue_name),
    Column("prio", 4, lambda queue: str(queue.priority), 3, right=True),
    Column("queued", 6, lambda queue: number(queue.queued), right=True),
    Column("by priority", 12, depths, 4),
    Column("oldest", 6, oldest, right=True),
    Column("running", 7, lambda queue: number(queue.running), right=True),
    Column("slots", 5, lambda queue: number(queue.total_slots), right=True),
    Column("jobs/min", 8, rate, 1, right=True),
    Column("drained in", 10, drain, 2, right=True),
    Column("waiting", 7, lambda queue: number(queue.waiting) if queue.waiting else "", 7, right=True),
    Column("limit", 6, lambda queue: number(queue.max_queued) if queue.max_queued else "", 8, right=True),
    Column("memory", 7, lambda queue: size(queue.memory_limit_bytes) if queue.memory_limit_bytes else "none", 9),
    Column("service", 9, lambda queue: queue.service, 10),
    Column("workers", 18, _queue_workers, 5, stretches=True),
]
"""What stands for a queue, in the order of the line."""


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
