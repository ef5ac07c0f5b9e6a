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
    made = table("#worker", "queues", "runs", ">memory", ">GPU memory", "host", "version", "#up", "#seen")
    for status in workers:
        worker = status.worker
        made.add_row(
            Text.assemble(worker.name, (" draining", "yellow") if status.draining else ""),
            Text("\n".join(f"{queue} {taken}/{slots}" for queue, (taken, slots) in load(status).items())),
            Text("\n".join(_running(attempt) for attempt in status.running)),
            size(status.rss_bytes) if status.rss_bytes else "",
            size(status.gpu_memory_bytes) if status.gpu_memory_bytes else "",
            Text(worker.host),
            Text(worker.version),
            Text(ago(worker.start_time).removesuffix(" ago"), style="dim"),
            Text(ago(status.last_seen_time), style="dim"),
        )
    return made


def _running(attempt: v1.RunningAttempt) -> str:
    """Returns an attempt with what it takes, e.g. "job-1 train_sae #2 on cuda:0, 1.2 GB"."""
    device = f" on {attempt.device}" if attempt.device else ""
    memory = f", {size(attempt.rss_bytes)}" if attempt.rss_bytes else ""
    return f"{attempt.job_id} {attempt.kind} #{attempt.attempt}{device}{memory}"


def load(status: v1.WorkerStatus) -> dict[str, tuple[int, int]]:
    """Returns slots taken and slots there are, of each queue that a worker serves."""
    slots = {served.queue: served.slots for served in status.worker.queues}
    taken = Counter(attempt.queue for attempt in status.running)
    return {queue: (taken[queue], slots.get(queue, 0)) for queue in slots | taken}
