"""Workers."""

from __future__ import annotations

from collections import Counter
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
        made.add_row(
            Text.assemble(status.worker.name, (" draining", "yellow") if status.draining else ""),
            Text("\n".join(f"{queue} {taken}/{slots}" for queue, (taken, slots) in load(status).items())),
            Text("\n".join(attempt.job_id for attempt in status.running)),
            size(status.rss_bytes) if status.rss_bytes else "",
            Text(ago(status.last_seen_time), style="dim"),
        )
    return made


def load(status: v1.WorkerStatus) -> dict[str, tuple[int, int]]:
    """Returns slots taken and slots there are, of each queue that a worker serves."""
    slots = {served.queue: served.slots for served in status.worker.queues}
    taken = Counter(attempt.queue for attempt in status.running)
    return {queue: (taken[queue], slots.get(queue, 0)) for queue in slots | taken}
