"""Jobs for the stacks: the demo at a size that takes a minute or two, and small ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import mistudio
from mistudio import JobState
from mistudio.blocking.job import Job
from mistudio.cli.demo.recipe import Recipe, pipeline
from mistudio.pipelines import PipelineRun
from support.waiting import eventually

RECIPE = Recipe(max_rows=60, context_length=64, d_sae=256, k=16, total_tokens=100_000, feature_tokens=50_000)
"""Long enough that each step can be killed in the middle."""
JOB_SECONDS = 900.0


def submit_demo(client: mistudio.Client, recipe: Recipe = RECIPE) -> PipelineRun[Job]:
    """Submits text to features."""
    return client.jobs.submit_pipeline(pipeline(recipe))


def submit_small(client: mistudio.Client, count: int) -> list[Job]:
    """Submits jobs of the curator, each of which makes one report."""
    return [client.jobs.submit(mistudio.VerifyArtifacts()) for _ in range(count)]


async def until_it_works(job: Job, progress: float = 0.0) -> None:
    """Waits until a job runs and has come so far; fails if it has ended before."""

    def works() -> bool:
        job.refresh()
        assert not job.state.is_over, f"{job} was too fast, or failed: {job.proto.failure}"
        return job.state is JobState.RUNNING and job.progress.fraction >= progress

    await eventually(works, within=JOB_SECONDS, what=f"{job.kind} runs")


def finish(jobs: Iterable[Job]) -> dict[str, list[str]]:
    """Waits until every job has succeeded; returns the artifacts that each says it made."""
    return {job.id: job.result(timeout=JOB_SECONDS) for job in jobs}


def assert_made_once(client: mistudio.Client, made: dict[str, list[str]]) -> None:
    """Checks that the store holds what the jobs say, no more and no less."""
    stored = Counter((artifact.job_id, artifact.id) for artifact in client.artifacts.list() if artifact.job_id in made)
    assert stored == Counter((job_id, artifact_id) for job_id, ids in made.items() for artifact_id in ids)
    assert all(len(ids) == 1 for ids in made.values())
