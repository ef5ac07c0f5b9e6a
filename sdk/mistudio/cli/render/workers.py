"""Workers."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.style import table
from mistudio.cli.render.units import ago, size


def render_workers(workers: Sequence[v1.WorkerStatus]) -> RenderableType:
    """Returns a table of workers."""
    if not workers:
        return Text("no workers; start some: mistudio up", style="yellow")
    made = table("#worker", "queues", "runs", ">memory", "#seen")
    for status in workers:
        busy = {served.queue: 0 for served in status.worker.queues}
        for attempt in status.running:
            busy[attempt.queue] = busy.get(attempt.queue, 0) + 1
        slots = {served.queue: served.slots for served in status.worker.queues}
        made.add_row(
            Text.assemble(status.worker.name, (" draining", "yellow") if status.draining else ""),
            Text("\n".join(f"{queue} {count}/{slots.get(queue, 0)}" for queue, count in busy.items())),
            Text("\n".join(attempt.job_id for attempt in status.running)),
            size(status.rss_bytes) if status.rss_bytes else "",
            Text(ago(status.last_seen_time), style="dim"),
        )
    return made
