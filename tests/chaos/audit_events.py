"""Audits the event log: one end a job, nothing after a fence, progress that only rises."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from chaos.audit_jobs import ENDED, SUCCEEDED
from chaos.findings import Findings
from chaos.stored import Stored, StoredEvent
from chaos.traffic import Promised
from mistudio import v1
from mistudio_gateway.state_machine import LEGAL


def audit_events(stored: Stored, promised: Mapping[str, Promised], findings: Findings) -> None:
    """Checks the events of every job."""
    for job_id, job in stored.jobs.items():
        events = stored.events.get(job_id, [])
        retried = job_id in promised and promised[job_id].request.kind == "retried"
        states = [event for event in events if event.event.WhichOneof("event") == "job"]
        _check_states(job, states, retried=retried, findings=findings)
        reports = [event for event in events if event.event.WhichOneof("event") in ("progress", "metric", "log")]
        _check_fences(job_id, states, reports, retried=retried, findings=findings)
        _check_progress(job_id, reports, findings)
        _check_metrics(job, reports, findings)


def _check_states(job: v1.Job, states: Sequence[StoredEvent], *, retried: bool, findings: Findings) -> None:
    truly = sorted(states, key=lambda event: (event.revision, event.sequence))
    if truly != list(states):
        findings.notes.append(f"{job.id}: its states were told out of order")
    ends = [event for event in truly if event.event.job.state in ENDED]
    if len(ends) > (2 if retried else 1):
        findings.duplicated.append(f"{job.id} ended {len(ends)} times: {_named(truly)}")
    if job.state in ENDED and (not ends or ends[-1].event.job.state != job.state):
        findings.notes.append(f"{job.id}: its end is in the ledger and not in the event log")
    for before, after in itertools.pairwise(truly):
        if before.event.job.state in ENDED and after.event.job.state not in ENDED and not retried:
            findings.duplicated.append(f"{job.id} went on after its end: {_named(truly)}")
        if not _may_follow(before.event.job, after.event.job):
            findings.notes.append(f"{job.id}: a change between two events was not told: {_named(truly)}")


def _may_follow(before: v1.Job, after: v1.Job) -> bool:
    again = len(after.attempts) > len(before.attempts) and before.state == after.state
    return again or after.state in LEGAL[before.state]


def _check_fences(
    job_id: str, states: Sequence[StoredEvent], reports: Sequence[StoredEvent], *, retried: bool, findings: Findings
) -> None:
    fences: dict[int, int] = {}
    for event in states:
        for attempt in event.event.job.attempts:
            fences.setdefault(attempt.number, event.sequence)
    ends = [event.sequence for event in states if event.event.job.state in ENDED]
    for report in reports:
        number, what = report.event.attempt, report.event.WhichOneof("event")
        fence = min((sequence for attempt, sequence in fences.items() if attempt > number), default=report.sequence)
        if report.sequence > fence:
            findings.stale_writes.append(f"{job_id}: a {what} of attempt {number} after a later attempt had begun")
        elif ends and not retried and report.sequence > ends[0]:
            findings.stale_writes.append(f"{job_id}: a {what} of attempt {number} after the end")


def _check_progress(job_id: str, reports: Sequence[StoredEvent], findings: Findings) -> None:
    highest: dict[int, float] = {}
    for report in reports:
        if report.event.WhichOneof("event") != "progress":
            continue
        number, fraction = report.event.attempt, report.event.progress.fraction
        if fraction < highest.get(number, 0.0):
            findings.other.append(f"{job_id}: progress of attempt {number} fell from {highest[number]} to {fraction}")
        if fraction >= 1:
            findings.other.append(f"{job_id}: progress of attempt {number} was {fraction} before the end")
        highest[number] = max(fraction, highest.get(number, 0.0))


def _check_metrics(job: v1.Job, reports: Sequence[StoredEvent], findings: Findings) -> None:
    """Of the attempt that succeeded every metric is there, once."""
    if job.state != SUCCEEDED or job.kind != "train_sae":
        return
    last = job.attempts[-1].number
    metrics = [report.event for report in reports if report.event.WhichOneof("event") == "metric"]
    steps = [event.metric.step for event in metrics if event.attempt == last]
    total = job.spec.train_sae.total_tokens  # an attempt does at least the last step, wherever it began
    if missing := set(range(min(steps, default=total - 1), total)) - set(steps):
        findings.other.append(f"{job.id}: attempt {last} succeeded and its metrics {sorted(missing)} are missing")
    if len(steps) != len(set(steps)):
        findings.other.append(f"{job.id}: {len(steps) - len(set(steps))} metrics of attempt {last} are there twice")


def _named(states: Sequence[StoredEvent]) -> str:
    return " ".join(v1.JobState.Name(event.event.job.state).removeprefix("JOB_STATE_") for event in states)
