"""Jobs."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.style import pairs, state_text, table
from mistudio.cli.render.units import ago, seconds_between, span
from mistudio.states import JobState


def render_jobs(jobs: Sequence[v1.Job]) -> RenderableType:
    """Returns a table of jobs."""
    if not jobs:
        return Text("no jobs", style="dim")
    made = table("#job", "#kind", "name", "#state", ">done", "#queue", ">attempt", "#submitted")
    for job in jobs:
        made.add_row(
            job.id,
            job.kind,
            Text(job.step or job.display_name),
            state_text(JobState.of(job)),
            f"{job.progress.fraction:.0%}" if job.progress.fraction else "",
            job.queue,
            f"{len(job.attempts)}/{job.max_attempts}" if job.attempts else "",
            Text(ago(job.create_time), style="dim"),
        )
    notes = [Text(f"{job.id}: {job.diagnosis}", style="yellow") for job in jobs if job.diagnosis]
    return Group(made, *notes)


def render_job(job: v1.Job) -> RenderableType:
    """Returns everything about one job that matters to people."""
    grid = pairs()
    grid.add_row("job", Text.assemble((job.id, "bold"), "  ", job.kind))
    grid.add_row("state", state_text(JobState.of(job)))
    for name, value in _facts(job).items():
        if value:
            grid.add_row(name, Text(value))
    parts: list[RenderableType] = [grid]
    if job.attempts:
        parts.append(_attempts(job))
    if job.diagnosis:
        parts.append(Text(job.diagnosis, style="yellow"))
    return Group(*parts)


def _facts(job: v1.Job) -> dict[str, str]:
    failure = f"{job.failure.reason}: {job.failure.message}" if job.failure.reason else ""
    return {
        "name": job.display_name,
        "queue": f"{job.queue}, priority {job.priority}",
        "progress": f"{job.progress.fraction:.0%} {job.progress.stage}" if job.progress.fraction else "",
        "pipeline": f"{job.pipeline_id}, step {job.step}" if job.pipeline_id else "",
        "waits for": ", ".join(job.depends_on),
        "labels": ", ".join(f"{key}={value}" for key, value in sorted(job.labels.items())),
        "submitted": ago(job.create_time),
        **_limits(job),
        "failure": failure,
        "artifacts": ", ".join(job.artifact_ids),
    }


def _limits(job: v1.Job) -> dict[str, str]:
    over = JobState.of(job).is_over
    left = seconds_between(_now(), job.start_deadline)
    return {
        "timeout": f"{span(job.timeout.ToTimedelta().total_seconds())} an attempt" if job.HasField("timeout") else "",
        "must start": f"within {span(left)}" if job.HasField("start_deadline") and not over else "",
        "asked to": "finish now with what there is" if job.finish_requested and not over else "",
    }


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now


def _attempts(job: v1.Job) -> RenderableType:
    made = table(">attempt", "#worker", "#outcome", "#took", "failure")
    for attempt in job.attempts:
        outcome = v1.AttemptOutcome.Name(attempt.outcome).removeprefix("ATTEMPT_OUTCOME_").lower()
        ended = attempt.HasField("end_time")
        made.add_row(
            str(attempt.number),
            attempt.worker,
            outcome if ended else "running",
            span(seconds_between(attempt.start_time, attempt.end_time)) if ended else "",
            Text(attempt.failure.message or attempt.failure.reason),
        )
    return made
