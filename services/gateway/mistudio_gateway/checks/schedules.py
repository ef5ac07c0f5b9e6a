"""Schedules whose last time had a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mistudio import v1
from mistudio_runtime.errors import FailedPreconditionError, MeshError
from mistudio_runtime.findings import Finding, fine, warning
from mistudio_runtime.findings.text import counted

CHECK = "schedules"
_LOOK = "mistudio schedules"
_UPGRADE = 'pip install --upgrade "mistudio[broker]"'


def check_schedules(schedules: Sequence[v1.Schedule], find_job: Callable[[str], v1.Job | None]) -> list[Finding]:
    """Judges the last time of each schedule, and the job that came of it."""
    found = [finding for schedule in schedules for finding in _judge(schedule, find_job(schedule.last_job_id))]
    if found:
        return found
    if not schedules:
        return [fine(CHECK, "There are no schedules.")]
    paused = sum(schedule.paused for schedule in schedules)
    also = f", {paused} of them paused" if paused else ""
    return [fine(CHECK, f"{counted(len(schedules), 'schedule')}{also}, and the last time of none had a problem.")]


def cannot_look(error: MeshError | TimeoutError) -> Finding:
    """Says why the schedules cannot be judged."""
    if isinstance(error, FailedPreconditionError):
        return warning(CHECK, error.message, _UPGRADE)
    return warning(CHECK, "The schedules cannot be looked at without the broker.", "mistudio doctor")


def _judge(schedule: v1.Schedule, job: v1.Job | None) -> list[Finding]:
    if schedule.last_problem:
        why = schedule.last_problem.rstrip(".").replace(". ", "; ")
        return [warning(CHECK, f"The schedule {schedule.name} had a problem: {why}.", _LOOK)]
    if job is not None and job.state == v1.JOB_STATE_FAILED:
        sentence = (
            f"The last job of the schedule {schedule.name}, {job.id}, failed ({job.failure.reason or 'UNKNOWN'})."
        )
        return [warning(CHECK, sentence, f"mistudio jobs get {job.id}")]
    if not schedule.paused and not schedule.HasField("next_time"):
        sentence = f"The schedule {schedule.name} has no next time; a gateway that starts gives it one."
        return [warning(CHECK, sentence, "mistudio down && mistudio up --detach")]
    return []
