"""The auditor sees what it is there for: each breach, made by hand, is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.audit_artifacts import audit_artifacts
from chaos.audit_events import audit_events
from chaos.audit_jobs import audit_jobs
from chaos.audit_leaks import audit_broker, audit_files
from chaos.findings import Findings
from chaos.jobs import TRACES
from chaos.plan import Request
from chaos.stored import Stored, StoredEvent
from chaos.traffic import LABEL, Promised
from mistudio import v1
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.artifacts.manifest import MANIFEST_NAME

QUEUED, RUNNING, SUCCEEDED = v1.JOB_STATE_QUEUED, v1.JOB_STATE_RUNNING, v1.JOB_STATE_SUCCEEDED
FAILED, CANCELLED = v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED


def job(state: v1.JobState.ValueType = SUCCEEDED, attempts: int = 1, job_id: str = "job-1", number: int = 1) -> v1.Job:
    made = v1.Job(id=job_id, kind="train_sae", state=state, labels={LABEL: str(number)})
    for attempt in range(1, attempts + 1):
        made.attempts.add(number=attempt, outcome=v1.ATTEMPT_OUTCOME_LOST)
    if state == SUCCEEDED:
        made.attempts[-1].outcome = v1.ATTEMPT_OUTCOME_SUCCEEDED
        made.progress.fraction = 1.0
    made.spec.train_sae.total_tokens = 2
    return made


def promise(kind: str = "count", job_id: str = "job-1") -> dict[str, Promised]:
    return {job_id: Promised(Request(1, 0.0, kind, 5, 2, 0.0), job_id)}


def log(*events: v1.JobEvent) -> dict[str, list[StoredEvent]]:
    """Returns a log in which the n-th event has position n, and a state the revision n."""
    return {"job-1": [StoredEvent(n, n if event.HasField("job") else 0, event) for n, event in enumerate(events, 1)]}


def state(value: v1.JobState.ValueType, attempts: int) -> v1.JobEvent:
    return v1.JobEvent(job_id="job-1", attempt=attempts, job=job(value, attempts))


def metric(attempt: int, step: int) -> v1.JobEvent:
    return v1.JobEvent(job_id="job-1", attempt=attempt, metric=v1.MetricPoint(step=step))


def progress(attempt: int, fraction: float) -> v1.JobEvent:
    return v1.JobEvent(job_id="job-1", attempt=attempt, progress=v1.Progress(fraction=fraction))


def audited_jobs(home: Path, stored: Stored, promised: dict[str, Promised]) -> Findings:
    findings = Findings()
    audit_jobs(stored, promised, home, findings)
    return findings


def audited_events(*events: v1.JobEvent, record: v1.Job | None = None, kind: str = "count") -> Findings:
    findings = Findings()
    audit_events(Stored({"job-1": record or job()}, log(*events)), promise(kind), findings)
    return findings


GOOD = (state(QUEUED, 0), state(RUNNING, 1), progress(1, 0.5), metric(1, 0), metric(1, 1), state(SUCCEEDED, 1))


def test_a_good_run_is_clean(tmp_path: Path) -> None:
    assert audited_events(*GOOD).broken() == []
    assert audited_jobs(tmp_path, Stored({"job-1": job()}), promise()).broken() == []


def test_a_job_that_is_gone_or_not_over_is_lost(tmp_path: Path) -> None:
    assert len(audited_jobs(tmp_path, Stored(), promise()).lost) == 1
    assert len(audited_jobs(tmp_path, Stored({"job-1": job(QUEUED)}), promise()).lost) == 1


@pytest.mark.parametrize("kind", ["poison", "permanent", "cancelled"])
def test_a_wrong_end_is_told(tmp_path: Path, kind: str) -> None:
    failed = job(FAILED)
    failed.failure.reason = "UNEXPECTED"
    assert audited_jobs(tmp_path, Stored({"job-1": failed}), promise(kind)).other


def test_one_request_that_made_two_jobs_is_a_duplicate(tmp_path: Path) -> None:
    stored = Stored({"job-1": job(), "job-2": job(job_id="job-2")})
    assert len(audited_jobs(tmp_path, stored, promise() | promise(job_id="job-2")).duplicated) == 1


def test_an_attempt_that_ran_in_two_processes_is_a_duplicate(tmp_path: Path) -> None:
    (tmp_path / TRACES).mkdir()
    (tmp_path / TRACES / "job-1").write_text('{"attempt": 1, "pid": 7}\n{"attempt": 1, "pid": 8}\n')
    assert len(audited_jobs(tmp_path, Stored({"job-1": job()}), promise()).duplicated) == 1


def test_an_attempt_that_nobody_granted_is_told(tmp_path: Path) -> None:
    (tmp_path / TRACES).mkdir()
    (tmp_path / TRACES / "job-1").write_text('{"attempt": 2, "pid": 7}\n')
    assert audited_jobs(tmp_path, Stored({"job-1": job()}), promise()).other


def test_two_ends_are_a_duplicate_unless_a_person_retried() -> None:
    again = (state(FAILED, 1), state(QUEUED, 1), state(RUNNING, 2), state(SUCCEEDED, 2))
    assert audited_events(*GOOD[:2], *again, record=job(attempts=2)).duplicated
    assert not audited_events(*GOOD[:2], *again, record=job(attempts=2), kind="retried").duplicated


def test_what_a_fenced_attempt_wrote_is_stale() -> None:
    late = (state(QUEUED, 0), state(RUNNING, 1), state(RUNNING, 2), metric(1, 0))
    assert len(audited_events(*late, record=job(attempts=2)).stale_writes) == 1
    assert len(audited_events(*GOOD, metric(1, 2)).stale_writes) == 1


def test_progress_that_falls_or_is_done_too_early_is_told() -> None:
    assert audited_events(*GOOD[:3], progress(1, 0.4), *GOOD[3:]).other
    assert audited_events(*GOOD[:3], progress(1, 1.0), *GOOD[3:]).other
    assert not audited_events(*GOOD[:3], progress(2, 0.4), *GOOD[3:]).other


def test_a_metric_that_is_missing_or_there_twice_is_told() -> None:
    assert audited_events(*GOOD[:4], GOOD[5]).other
    assert audited_events(*GOOD[:5], metric(1, 1), GOOD[5]).other


def test_an_artifact_that_is_not_whole_is_told(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    for number in range(3):
        with store.draft("sae", job_id=f"job-{number}", attempt=1) as draft:
            (draft.path / "a.txt").write_text("a")
            draft.commit()
    (tmp_path / "sae-0-0" / "a.txt").write_text("b")
    (tmp_path / "sae-1-0" / MANIFEST_NAME).unlink()
    missing = job()
    missing.artifact_ids.append("sae-9-0")
    findings = Findings()
    audit_artifacts(tmp_path, {"job-1": missing}, findings)
    assert len(findings.half_artifacts) == 3


def test_what_is_left_over_is_a_leak(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    (store.drafts / "sae-1-0.1").mkdir()
    (tmp_path / "scratch" / "job-1").mkdir(parents=True)
    (tmp_path / "tmp" / "mistudio-1").mkdir(parents=True)
    findings = Findings()
    audit_broker(Stored(queued=["mistudio.jobs.training.5.job-1"], workers=["toy/1"]), findings)
    audit_files(tmp_path, store.root, tmp_path / "tmp", findings)
    assert len(findings.leaks) == 5
