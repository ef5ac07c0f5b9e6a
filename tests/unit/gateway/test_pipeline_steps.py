from __future__ import annotations

from pathlib import Path

import pytest

from mistudio import v1
from mistudio_gateway.dependencies import DEPENDENCY_FAILED, children_failed_by, may_wait_again
from mistudio_gateway.pipeline_steps import MAX_STEPS, step_ids, step_jobs, validate_steps
from mistudio_gateway.validation import Scope
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    return Scope(ArtifactStore(tmp_path / "store"), Settings(home=tmp_path), load_queues(), lambda _: None)


def tokens(name: str, dataset: str, model: str = "model") -> v1.PipelineStep:
    """A step that makes tokens from the outputs of two others."""
    spec = v1.TokenizeDataset(dataset=v1.ArtifactRef(step=dataset), model=v1.ArtifactRef(step=model))
    return v1.PipelineStep(name=name, job=v1.JobRequest(spec=v1.JobSpec(tokenize_dataset=spec)))


def dataset(name: str) -> v1.PipelineStep:
    spec = v1.JobSpec(download_dataset=v1.DownloadDataset(bundled="python-topics"))
    return v1.PipelineStep(name=name, job=v1.JobRequest(spec=spec))


def model(name: str = "model") -> v1.PipelineStep:
    spec = v1.JobSpec(download_model=v1.DownloadModel(bundled="pydocs-gpt2-6l"))
    return v1.PipelineStep(name=name, job=v1.JobRequest(spec=spec))


def violations(scope: Scope, *steps: v1.PipelineStep) -> dict[str, str]:
    validate_steps(steps, scope)
    return {bad.field: bad.description for bad in scope.violations}


def test_fan_out_and_fan_in_pass(scope: Scope) -> None:
    assert violations(scope, dataset("a"), model(), tokens("left", "a"), tokens("right", "a")) == {}


@pytest.mark.parametrize(
    ("steps", "field", "says"),
    [
        ([model(), tokens("b", "a")], "steps[1].job.spec.tokenize_dataset.dataset", "there is no step 'a' in"),
        ([model(), tokens("b", "b")], "steps[1].job.spec.tokenize_dataset.dataset", "part of a cycle: b needs b"),
        ([model(), tokens("b", "c"), dataset("c")], "steps[1].job.spec.tokenize_dataset.dataset", "put it before"),
        (
            [model(), tokens("b", "d"), tokens("c", "b"), tokens("d", "c")],
            "steps[1].job.spec.tokenize_dataset.dataset",
            "part of a cycle: d needs c needs b needs d",
        ),
        ([dataset("a"), dataset("a")], "steps[1].name", "'a' stands twice"),
        ([dataset("1a")], "steps[0].name", "is a letter"),
        ([dataset("")], "steps[0].name", "is a letter"),
        ([], "steps", f"name 1 to {MAX_STEPS} steps"),
        ([dataset("a")] * (MAX_STEPS + 1), "steps", f"name 1 to {MAX_STEPS} steps"),
    ],
)
def test_bad_steps_are_named(scope: Scope, steps: list[v1.PipelineStep], field: str, says: str) -> None:
    assert says in violations(scope, *steps)[field]


def test_the_same_request_is_the_same_jobs_and_another_one_is_told_apart() -> None:
    table = load_queues()
    steps = [dataset("a"), model(), tokens("b", "a")]
    _, first = step_jobs(steps, "r", table)
    _, again = step_jobs(steps, "r", table)
    _, fewer = step_jobs(steps[:2], "r", table)
    assert [(job.id, job.request_digest) for job in again] == [(job.id, job.request_digest) for job in first]
    assert sorted(job.id for job in first) == sorted(step_ids(steps, "r"))
    assert fewer[0].id == first[0].id
    assert fewer[0].request_digest != first[0].request_digest
    assert first[2].depends_on == [first[0].id, first[1].id]


@pytest.mark.parametrize("steps", [[dataset("a"), dataset("a")], [v1.PipelineStep(name="a")]])
def test_what_cannot_be_jobs_is_validated_each_time(steps: list[v1.PipelineStep]) -> None:
    assert step_ids(steps, "r") == []


def test_a_job_waits_again_when_no_parent_has_failed_any_more() -> None:
    failure = v1.Failure(reason=DEPENDENCY_FAILED)
    jobs = {
        "a": v1.Job(id="a", state=v1.JOB_STATE_CANCELLED),
        "b": v1.Job(id="b", state=v1.JOB_STATE_FAILED, depends_on=["a"], failure=failure),
        "c": v1.Job(id="c", state=v1.JOB_STATE_FAILED, depends_on=["b", "x"], failure=failure),
        "x": v1.Job(id="x", state=v1.JOB_STATE_SUCCEEDED),
    }
    assert children_failed_by("a", jobs.values()) == ["b", "c"]
    assert not may_wait_again(jobs["b"], jobs.get)
    jobs["a"].state = v1.JOB_STATE_QUEUED
    assert may_wait_again(jobs["b"], jobs.get)
    assert not may_wait_again(jobs["c"], jobs.get)
    jobs["b"].state = v1.JOB_STATE_WAITING
    assert may_wait_again(jobs["c"], jobs.get)
    del jobs["x"]
    assert not may_wait_again(jobs["c"], jobs.get)
