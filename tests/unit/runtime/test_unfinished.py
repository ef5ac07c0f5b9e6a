from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mistudio import v1
from mistudio.cli.stack.unfinished import read_unfinished
from mistudio_runtime.stack.unfinished import JobName, Unfinished, summarize

STOP = datetime(2026, 1, 1, tzinfo=UTC)


def job(state: v1.JobState.ValueType, *, ended: float | None = None) -> v1.Job:
    """Returns a job; its last attempt ended so many seconds after the stop began."""
    record = v1.Job(id="job-1", kind="train_sae", state=state)
    if ended is not None:
        record.attempts.add(number=1).end_time.FromDatetime(STOP + timedelta(seconds=ended))
    return record


def test_a_job_that_the_stop_gave_back_is_requeued() -> None:
    assert summarize([job(v1.JOB_STATE_QUEUED, ended=3)], STOP) == Unfinished((JobName("job-1", "train_sae"),))


def test_a_job_whose_worker_was_killed_is_requeued_later() -> None:
    assert summarize([job(v1.JOB_STATE_RUNNING)], STOP).requeued == (JobName("job-1", "train_sae"),)


def test_others_wait() -> None:
    jobs = [job(v1.JOB_STATE_QUEUED), job(v1.JOB_STATE_QUEUED, ended=-60), job(v1.JOB_STATE_WAITING)]
    assert summarize([*jobs, job(v1.JOB_STATE_PAUSED)], STOP) == Unfinished((), 3, 1)


def test_nothing_left_is_nothing_to_say() -> None:
    assert not summarize([], STOP)


def test_the_sentence_names_what_was_interrupted() -> None:
    left = Unfinished((JobName("job-1", "train_sae"),), 2, 1)
    assert left.sentence() == (
        "unfinished jobs: requeued job-1 (train_sae), 2 more wait, 1 paused; `mistudio up` goes on with them"
    )


def test_the_command_reads_what_the_supervisor_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTUDIO_HOME", str(tmp_path))
    assert read_unfinished(41) is None
    Unfinished((JobName("job-1", "train_sae"),), 2, 1).write(tmp_path, 41)
    read = read_unfinished(41)
    assert read is not None
    assert read.document == {"requeued": [{"id": "job-1", "kind": "train_sae"}], "queued": 2, "paused": 1}
    assert read_unfinished(42) is None, "another supervisor's"
