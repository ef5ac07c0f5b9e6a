"""Audits the ledger against what clients were promised, and against what really ran."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from chaos.findings import Findings
from chaos.jobs import TRACES
from chaos.stored import Stored
from chaos.traffic import LABEL, POISON_ATTEMPTS, Promised
from mistudio import v1

SUCCEEDED, FAILED, CANCELLED = v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED
ENDED = (SUCCEEDED, FAILED, CANCELLED)
_DEADLY = ("WORKER_LOST", "PROCESS_DIED")


def audit_jobs(stored: Stored, promised: Mapping[str, Promised], home: Path, findings: Findings) -> None:
    """Checks every acknowledged job's end, and every record's attempts."""
    for job_id, promise in promised.items():
        job = stored.jobs.get(job_id)
        if job is None:
            findings.lost.append(f"{job_id} ({promise.request.kind}) was acknowledged and has no record")
        elif job.state not in ENDED:
            findings.lost.append(f"{job_id} ({promise.request.kind}) is still {_state(job)}")
        else:
            _check_end(job, promise, findings)
    _check_requests(stored.jobs.values(), promised, findings)
    traces = read_traces(home)
    for job in stored.jobs.values():
        _check_attempts(job, findings)
        _check_traces(job, traces.get(job.id, []), findings)


def read_traces(home: Path) -> dict[str, list[tuple[int, int]]]:
    """Returns, by job, the attempts that really began, each with its process."""
    files = [file for file in (home / TRACES).glob("*") if file.is_file()]
    return {file.name: [_trace(line) for line in file.read_text().splitlines()] for file in files}


def _trace(line: str) -> tuple[int, int]:
    trace = json.loads(line)
    return trace["attempt"], trace["pid"]


def _check_end(job: v1.Job, promise: Promised, findings: Findings) -> None:
    kind = promise.request.kind
    if kind == "poison":
        right = job.state == FAILED and job.failure.reason in _DEADLY and job.failed_attempts == POISON_ATTEMPTS
    elif kind == "permanent":
        right = job.state == FAILED and job.failure.reason == "CHAOS"
    elif kind == "cancelled":
        right = job.state == SUCCEEDED or (job.state == CANCELLED and promise.cancelled)
    else:
        right = job.state == SUCCEEDED
    if not right:
        why = f"{job.failure.reason} {job.failure.message}".strip()
        findings.other.append(f"{job.id} ({kind}) ended as {_state(job)} {why} after {len(job.attempts)} attempts")


def _check_requests(jobs: Iterable[v1.Job], promised: Mapping[str, Promised], findings: Findings) -> None:
    """One request, however often it was repeated, is one job."""
    made = collections.Counter((job.labels[LABEL], job.step or _fan_in(job)) for job in jobs if LABEL in job.labels)
    findings.duplicated += [
        f"request {number} {step} has made {count} jobs" for (number, step), count in made.items() if count > 1
    ]
    unknown = [job.id for job in jobs if LABEL in job.labels and job.id not in promised]
    findings.notes += [f"{job_id} is recorded and was never acknowledged" for job_id in unknown]


def _fan_in(job: v1.Job) -> str:
    return "last" if job.depends_on else ""


def _check_attempts(job: v1.Job, findings: Findings) -> None:
    numbers = [attempt.number for attempt in job.attempts]
    if numbers != list(range(1, len(numbers) + 1)):
        findings.other.append(f"{job.id} has the attempts {numbers}")
    won = [attempt.number for attempt in job.attempts if attempt.outcome == v1.ATTEMPT_OUTCOME_SUCCEEDED]
    if len(won) != (job.state == SUCCEEDED):
        findings.duplicated.append(f"{job.id} is {_state(job)} and the attempts {won} succeeded")
    if job.state in ENDED and any(not attempt.outcome for attempt in job.attempts):
        findings.other.append(f"{job.id} is {_state(job)} with an attempt that never ended")
    if (job.progress.fraction == 1.0) != (job.state == SUCCEEDED):
        findings.other.append(f"{job.id} is {_state(job)} with progress {job.progress.fraction}")


def _check_traces(job: v1.Job, traces: list[tuple[int, int]], findings: Findings) -> None:
    runs = collections.Counter(attempt for attempt, _ in set(traces))
    findings.duplicated += [f"{job.id} attempt {n} ran in {count} processes" for n, count in runs.items() if count > 1]
    known = {attempt.number for attempt in job.attempts}
    findings.other += [f"{job.id} ran an attempt {n} that the ledger never granted" for n in runs.keys() - known]


def _state(job: v1.Job) -> str:
    return v1.JobState.Name(job.state).removeprefix("JOB_STATE_")
