"""Queues, workers and jobs, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.columns import Column, one_line_rows
from mistudio.cli.render.queues import drain, oldest, queue_name, rate
from mistudio.cli.render.style import state_text
from mistudio.cli.render.units import ago, number, seconds_between, size, span
from mistudio.cli.render.workers import load
from mistudio.states import JobState

_BAR = 8


def queue_table(queues: Sequence[v1.Queue], workers: Sequence[v1.WorkerStatus], width: int) -> Table:
    """Returns the queues: how many jobs wait and run, and which slots there are for them."""
    loads = [load(status) for status in workers]

    def slots(queue: v1.Queue) -> str:
        mine = [found[queue.name] for found in loads if queue.name in found]
        return f"{sum(taken for taken, _ in mine)}/{sum(slots for _, slots in mine)}"

    columns: list[Column[v1.Queue]] = [
        Column("QUEUE", 21, queue_name),
        Column("PRIO", 4, lambda queue: str(queue.priority), 2, right=True),
        Column("QUEUED", 6, lambda queue: number(queue.queued), right=True),
        Column("RUNNING", 7, lambda queue: number(queue.running), right=True),
        Column("SLOTS", 7, slots, right=True),
        Column("OLDEST", 6, oldest, 1, right=True),
        Column("/MIN", 5, rate, 4, right=True),
        Column("DRAIN", 6, drain, 5, right=True),
        Column("MEMORY", 7, lambda queue: size(queue.memory_limit_bytes) if queue.memory_limit_bytes else "", 3),
        Column("WORKERS", 14, _workers, stretches=True),
    ]
    return one_line_rows(columns, queues, width)


def worker_table(workers: Sequence[v1.WorkerStatus], width: int) -> Table:
    """Returns the workers: what they serve, take and run."""
    columns: list[Column[v1.WorkerStatus]] = [
        Column("WORKER", 20, lambda status: Text(status.worker.name, style="yellow" if status.draining else "")),
        Column("HOST", 12, lambda status: status.worker.host, 5),
        Column("SLOTS", 7, lambda status: "/".join(map(str, _total(status))), right=True),
        Column("RSS", 7, lambda status: size(status.rss_bytes) if status.rss_bytes else "", 4, right=True),
        Column("HEARD", 9, lambda status: Text(ago(status.last_seen_time), style="dim"), 3, right=True),
        Column("QUEUES", 24, lambda status: ", ".join(load(status)), 6),
        Column("RUNS", 24, _runs, stretches=True),
    ]
    return one_line_rows(columns, workers, width)


def job_table(jobs: Sequence[v1.Job], selected: str, width: int) -> Table:
    """Returns jobs; the selected one is marked."""

    def mark(job: v1.Job) -> Text:
        return Text("▶" if job.id == selected else "", style="bold cyan")

    def name(job: v1.Job) -> Text:
        return Text(job.id, style="bold" if job.id == selected else "")

    columns: list[Column[v1.Job]] = [
        Column("", 1, mark),
        Column("JOB", 20, name),
        Column("KIND", 17, lambda job: job.kind, 1),
        Column("STATE", 12, lambda job: state_text(JobState.of(job))),
        Column("PROGRESS", _BAR + 5, _progress),
        Column("ETA", 6, _eta, 2, right=True),
        Column("STAGE", 14, _stage, 3, stretches=True),
        Column("RATE", 8, _rate, 4, right=True),
        Column("AGE", 6, _age, 5, right=True),
        Column("TRY", 4, _tries, 6, right=True),
        Column("QUEUE", 13, lambda job: job.queue, 7),
        Column("WORKER", 20, _worker, 8),
    ]
    return one_line_rows(columns, jobs, width)


def _workers(queue: v1.Queue) -> RenderableType:
    if not queue.workers:
        return Text("nobody", style="yellow")
    return Text(f"{len(queue.workers)}: {', '.join(queue.workers)}" if len(queue.workers) > 1 else queue.workers[0])


def _total(status: v1.WorkerStatus) -> tuple[int, int]:
    loads = load(status).values()
    return sum(taken for taken, _ in loads), sum(slots for _, slots in loads)


def _runs(status: v1.WorkerStatus) -> Text:
    jobs = ", ".join(attempt.job_id for attempt in status.running)
    return Text.assemble(("draining " if status.draining else "", "yellow"), jobs)


def _progress(job: v1.Job) -> RenderableType:
    done = 1.0 if JobState.of(job) is JobState.SUCCEEDED else job.progress.fraction
    if not done:
        return ""
    bar = ProgressBar(total=1.0, completed=done, width=_BAR, complete_style="cyan", finished_style="green")
    made = Table.grid(padding=(0, 1, 0, 0))
    made.add_row(bar, f"{done:.0%}")
    return made


def _eta(job: v1.Job) -> str:
    running = JobState.of(job) is JobState.RUNNING and job.progress.HasField("eta")
    return span(job.progress.eta.ToTimedelta().total_seconds()).replace(" ", "") if running else ""


def _stage(job: v1.Job) -> Text:
    state, progress = JobState.of(job), job.progress
    if state is JobState.FAILED:
        return Text(job.failure.reason, style="red")
    if state is not JobState.RUNNING:
        return Text(job.diagnosis, style="yellow")
    total = f"/{number(progress.total)}" if progress.total else ""
    units = f" {number(progress.done)}{total} {progress.unit}" if progress.done or progress.total else ""
    return Text(f"{progress.stage}{units}")


def _rate(job: v1.Job) -> str:
    return f"{number(job.progress.rate)}/s" if JobState.of(job) is JobState.RUNNING and job.progress.rate > 0 else ""


def _tries(job: v1.Job) -> str:
    return f"{len(job.attempts)}/{job.max_attempts}" if job.attempts else ""


def _worker(job: v1.Job) -> str:
    return job.attempts[-1].worker if job.attempts else ""


def _age(job: v1.Job) -> Text:
    if job.HasField("end_time"):
        return Text(span(seconds_between(job.create_time, job.end_time)).replace(" ", ""), style="dim")
    since = (datetime.now(UTC) - job.create_time.ToDatetime(UTC)).total_seconds()
    return Text(span(since).replace(" ", ""), style="dim")
