"""The page of queues, workers and jobs."""

from __future__ import annotations

from rich.text import Text

from mistudio import v1
from mistudio.cli.top.drawer import Drawer, Lines, one_line
from mistudio.cli.top.scene import Scene
from mistudio.cli.top.snapshot import Snapshot
from mistudio.cli.top.tables import job_table, queue_table, worker_table
from mistudio.cli.top.view import View, window

_FOR_QUEUES, _FOR_WORKERS = 14, 20
"""Lines that a screen must have to show them beside the jobs."""


def list_page(scene: Scene, draw: Drawer, room: int) -> Lines:
    """Returns the page, for `room` lines: what there is no room for is counted, scrolls, or is left out."""
    snapshot = scene.snapshot
    if not snapshot.queues:
        return draw(Text("\n  nothing is known yet; to start a mesh here: mistudio up --detach", style="dim"))
    lines: Lines = []
    if room >= _FOR_QUEUES:
        lines += draw(queue_table(snapshot.queues, snapshot.workers, draw.width))
        if sentence := missing(snapshot):
            lines += draw(sentence)[: max(1, room // 8)]
        lines.append(draw.blank)
    if room >= _FOR_WORKERS:
        lines += [*_workers(snapshot, draw, max(2, (room - len(lines)) // 4)), draw.blank]
    return lines + _jobs(scene.view, draw, room - len(lines))


def missing(snapshot: Snapshot) -> Text:
    """Returns which queues are paused, full or served by nobody, and which schedules submitted no job the last time.

    With the commands that help; nothing if all is well.
    """
    wrong = [queue for queue in snapshot.queues if queue.diagnosis]
    unserved = [queue for queue in wrong if not (queue.workers or queue.paused)]
    sentences = [queue.diagnosis for queue in wrong if queue not in unserved]
    if unserved:
        names = f"Nobody serves {', '.join(queue.name for queue in unserved)}. " if len(unserved) > 1 else ""
        sentences.append(f"{names}{unserved[0].diagnosis}")
    sentences += [f"Schedule {one.name}: {one.last_problem}" for one in snapshot.schedules if one.last_problem]
    return Text("\n".join(sentences), style="yellow")


def _workers(snapshot: Snapshot, draw: Drawer, few: int) -> Lines:
    if not snapshot.workers:
        return draw(Text("no workers; start some: mistudio up", style="yellow"))
    # One more is shown rather than told of: it takes the same line.
    workers = snapshot.workers if len(snapshot.workers) <= few + 1 else snapshot.workers[:few]
    left = len(snapshot.workers) - len(workers)
    more = draw(Text(f"… and {left} more: mistudio workers", style="dim")) if left else []
    return draw(worker_table(workers, draw.width)) + more


def _jobs(view: View, draw: Drawer, room: int) -> Lines:
    if not view.jobs:
        return draw(Text("no job runs or waits", style="dim"))
    shown = window(len(view.jobs), view.place, max(1, room - 2))
    lines = draw(job_table([view.jobs[place] for place in shown], view.selected, draw.width))
    return [*lines, *[draw.blank] * (room - len(lines) - 1), *draw(_note(view))]


def _note(view: View) -> Text:
    """Returns where the selection stands, and what is the matter with the selected job."""
    job = view.job
    why = "" if job is None else job.diagnosis or failure(job)
    return one_line(Text.assemble((f"job {view.place + 1} of {len(view.jobs)}  ", "dim"), (why, "yellow")))


def failure(job: v1.Job) -> str:
    """Returns why a job failed; empty if it did not."""
    return f"{job.failure.reason}: {job.failure.message}" if job.failure.reason else ""
