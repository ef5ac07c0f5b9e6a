"""Jobs that failed lately, and jobs whose workers keep disappearing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from mistudio import v1
from mistudio_gateway.ledger_record import NANOS, LedgerRecord
from mistudio_runtime.findings import Finding, fine, warning
from mistudio_runtime.findings.text import counted, listed

CHECK = "jobs"
LATELY = timedelta(hours=24)
OFTEN = 2
"""So many lost attempts of one job are no accident."""


def check_jobs(records: Collection[LedgerRecord], now: datetime) -> list[Finding]:
    """Judges the jobs of the last day."""
    recent = [record.job for record in records if record.ended is None or _age(record.ended, now) < LATELY]
    failed = [job for job in recent if job.state == v1.JOB_STATE_FAILED]
    lost = [job for job in recent if _losses(job) >= OFTEN]
    found = [*([_failed(failed)] if failed else []), *([_lost(lost)] if lost else [])]
    return found or [fine(CHECK, f"{counted(len(records), 'job')} in the ledger, and none failed in the last day.")]


def _age(ended: int, now: datetime) -> timedelta:
    return now - datetime.fromtimestamp(ended / NANOS, UTC)


def _losses(job: v1.Job) -> int:
    return sum(attempt.outcome == v1.ATTEMPT_OUTCOME_LOST for attempt in job.attempts)


def _failed(jobs: Sequence[v1.Job]) -> Finding:
    reasons = list(dict.fromkeys(job.failure.reason or "UNKNOWN" for job in jobs))
    sentence = f"{counted(len(jobs), 'job')} failed in the last 24 hours ({listed(reasons)})."
    return warning(CHECK, sentence, "mistudio jobs list --state failed")


def _lost(jobs: Sequence[v1.Job]) -> Finding:
    worst = max(jobs, key=_losses)
    workers = listed(
        list(dict.fromkeys(one.worker for one in worst.attempts if one.outcome == v1.ATTEMPT_OUTCOME_LOST))
    )
    others = f" and {counted(len(jobs) - 1, 'other')}" if len(jobs) > 1 else ""
    sentence = f"{worst.id}{others} lost its worker again and again ({_losses(worst)} times, last on {workers})."
    return warning(CHECK, sentence, f"mistudio jobs get {worst.id}")
