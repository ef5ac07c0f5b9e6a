from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from ledger_stand_in import Ledger

from mistudio.v1 import CollectGarbage, JobState, PruneCheckpoints
from mistudio_curator import collect_garbage, prune_checkpoints
from mistudio_runtime.jobs import TransientFailure
from mistudio_runtime.settings import Settings
from support.workshop import Workshop

NOW = Duration()


@pytest.fixture
def leave(workshop: Workshop) -> Callable[[str], Path]:
    """Leaves a scratch folder with a checkpoint behind for a job."""

    def run(job_id: str) -> Path:
        checkpoint = workshop.settings.scratch / job_id / "checkpoints" / "step-10"
        checkpoint.mkdir(parents=True)
        (checkpoint / "weights.safetensors").write_bytes(b"x" * 1000)
        (workshop.settings.scratch / job_id / "log.txt").write_text("log")
        return checkpoint

    return run


def report_of(workshop: Workshop, artifact_id: str) -> list[dict[str, object]]:
    text = (workshop.store.path(artifact_id) / "report.json").read_text()
    folders: list[dict[str, object]] = json.loads(text)["folders"]
    return folders


def test_only_jobs_that_are_over_lose_their_scratch(
    workshop: Workshop, ledger: Ledger, leave: Callable[[str], Path]
) -> None:
    over = {
        "job-a": JobState.JOB_STATE_FAILED,
        "job-b": JobState.JOB_STATE_CANCELLED,
        "job-c": JobState.JOB_STATE_SUCCEEDED,
    }
    alive = {
        "job-d": JobState.JOB_STATE_PAUSED,
        "job-e": JobState.JOB_STATE_RUNNING,
        "job-f": JobState.JOB_STATE_QUEUED,
    }
    for job_id, state in {**over, **alive}.items():
        leave(job_id)
        ledger.tell(job_id, state, ended_seconds_ago=100 if job_id in over else None)
    leave("job-nobody-knows")

    artifact_id = collect_garbage.run(CollectGarbage(min_age=NOW), workshop.job("job-gc"))[0]

    assert sorted(folder.name for folder in workshop.settings.scratch.iterdir()) == [
        *alive,
    ]
    assert [row["job_id"] for row in report_of(workshop, artifact_id)] == [*over, "job-nobody-knows"]
    summary = workshop.store.get(artifact_id).summary
    assert (summary["folders"], summary["scratch"], summary["bytes"]) == (4, 4, 4 * 1003)


def test_drafts_and_trash_go_too(workshop: Workshop, ledger: Ledger) -> None:
    for name in ("sae-old-0.1", "sae-alive-0.2"):
        (workshop.store.drafts / name).mkdir()
        (workshop.store.drafts / name / "file").write_bytes(b"x" * 10)
    (workshop.store.trash / "sae-gone-0").mkdir()
    ledger.tell("job-old", JobState.JOB_STATE_FAILED, ended_seconds_ago=100)
    ledger.tell("job-alive", JobState.JOB_STATE_RUNNING)

    artifact_id = collect_garbage.run(CollectGarbage(min_age=NOW), workshop.job("job-gc"))[0]

    assert [folder.name for folder in workshop.store.drafts.iterdir()] == ["sae-alive-0.2"]
    assert not [*workshop.store.trash.iterdir()]
    assert [(row["what"], row["deleted"]) for row in report_of(workshop, artifact_id)] == [
        ("draft", True),
        ("trash", True),
    ]


def test_a_dry_run_only_tells(workshop: Workshop, ledger: Ledger, leave: Callable[[str], Path]) -> None:
    checkpoint = leave("job-a")
    ledger.tell("job-a", JobState.JOB_STATE_FAILED, ended_seconds_ago=100)

    artifact_id = collect_garbage.run(CollectGarbage(dry_run=True, min_age=NOW), workshop.job("job-gc"))[0]

    assert checkpoint.exists()
    assert workshop.store.get(artifact_id).summary["folders"] == 1
    assert report_of(workshop, artifact_id)[0]["deleted"] is False
    assert report_of(workshop, artifact_id)[0]["path"] == "scratch/job-a"


def test_what_is_young_stays(workshop: Workshop, ledger: Ledger, leave: Callable[[str], Path]) -> None:
    checkpoint = leave("job-a")
    ledger.tell("job-a", JobState.JOB_STATE_FAILED, ended_seconds_ago=10 * 24 * 3600)
    collect_garbage.run(CollectGarbage(), workshop.job("job-gc"))
    assert checkpoint.exists(), "files that changed just now are kept for a day"

    leave("job-b")
    ledger.tell("job-b", JobState.JOB_STATE_FAILED, ended_seconds_ago=0)
    ledger.jobs["job-b"].end_time.FromSeconds(ledger.jobs["job-b"].end_time.seconds + 3600)
    prune_checkpoints.run(PruneCheckpoints(min_age=NOW), workshop.job("job-prune"))
    assert (workshop.settings.scratch / "job-b" / "checkpoints").exists(), "a job that ended just now is kept"


def test_pruning_takes_checkpoints_only(workshop: Workshop, ledger: Ledger, leave: Callable[[str], Path]) -> None:
    leave("job-a")
    leave("job-b")
    ledger.tell("job-a", JobState.JOB_STATE_FAILED, ended_seconds_ago=100)
    ledger.tell("job-b", JobState.JOB_STATE_PAUSED)

    artifact_id = prune_checkpoints.run(PruneCheckpoints(min_age=NOW), workshop.job("job-prune"))[0]

    assert [file.name for file in (workshop.settings.scratch / "job-a").iterdir()] == ["log.txt"]
    assert (workshop.settings.scratch / "job-b" / "checkpoints" / "step-10").exists()
    assert [row["path"] for row in report_of(workshop, artifact_id)] == ["scratch/job-a/checkpoints"]


def test_without_a_gateway_nothing_is_deleted(workshop: Workshop, leave: Callable[[str], Path]) -> None:
    checkpoint = leave("job-a")
    workshop.settings = Settings(home=workshop.settings.home, gateway="127.0.0.1:1")

    with pytest.raises(TransientFailure, match="did not say which jobs have ended"):
        collect_garbage.run(CollectGarbage(min_age=NOW), workshop.job("job-gc"))
    assert checkpoint.exists()


def test_an_empty_store_is_clean(workshop: Workshop) -> None:
    artifact_id = collect_garbage.run(CollectGarbage(min_age=NOW), workshop.job("job-gc"))[0]

    assert workshop.store.get(artifact_id).summary["folders"] == 0


def test_a_job_that_is_put_back_while_others_are_deleted_keeps_its_checkpoints(
    workshop: Workshop, ledger: Ledger, leave: Callable[[str], Path]
) -> None:
    for name in ("job-a", "job-b"):
        leave(name)
        ledger.tell(name, JobState.JOB_STATE_FAILED, ended_seconds_ago=100)
    job = workshop.job("job-prune")

    def put_back(_: object) -> None:
        ledger.tell("job-b", JobState.JOB_STATE_QUEUED)

    job.watch = put_back
    artifact_id = prune_checkpoints.run(PruneCheckpoints(min_age=NOW), job)[0]

    assert (workshop.settings.scratch / "job-b" / "checkpoints" / "step-10").exists()
    assert [row["job_id"] for row in report_of(workshop, artifact_id)] == ["job-a"]
    assert job.logs == ["deleted 1 folder with 1000 bytes"]


def test_the_draft_of_an_archive_belongs_to_its_job(workshop: Workshop, ledger: Ledger) -> None:
    (workshop.store.drafts / "job_archive-alive-0.1").mkdir()
    ledger.tell("job-alive", JobState.JOB_STATE_RUNNING)
    collect_garbage.run(CollectGarbage(min_age=NOW), workshop.job("job-gc"))
    assert [folder.name for folder in workshop.store.drafts.iterdir()] == ["job_archive-alive-0.1"]
