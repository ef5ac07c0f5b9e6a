"""Submits the demo's pipeline, or takes up the one that is there, and follows it."""

from __future__ import annotations

from itertools import count

from mistudio import v1
from mistudio.blocking.client import Client
from mistudio.blocking.job import Job
from mistudio.cli.demo.recipe import Recipe, pipeline, request_id
from mistudio.cli.follow.board import Board
from mistudio.cli.follow.watch import follow
from mistudio.cli.session import Session
from mistudio.errors import JobCancelledError, JobFailedError, NotFoundError
from mistudio.pipelines import PipelineRun
from mistudio.states import JobState


def run(session: Session, client: Client, recipe: Recipe) -> dict[str, v1.Job]:
    """Runs the pipeline to its end; returns its jobs by step.

    Raises JobFailedError or JobCancelledError with the first step that did not succeed.
    """
    jobs = _submit(client, recipe).jobs
    _tell_what_is_reused(session, jobs)
    _start_again(jobs)
    board = Board(job.proto for job in jobs.values())
    follow(session, board, replay_finished=False, json_lines=False)
    for job in board.jobs():
        if JobState.of(job) is JobState.FAILED:
            raise JobFailedError(job)
        if JobState.of(job) is JobState.CANCELLED:
            raise JobCancelledError(job)
    return {job.step: job for job in board.jobs()}


def _submit(client: Client, recipe: Recipe) -> PipelineRun[Job]:
    steps = pipeline(recipe)
    for generation in count():
        submitted = client.jobs.submit_pipeline(steps, request_id=request_id(steps, generation))
        if all(_outputs_are_there(client, job) for job in submitted.jobs.values()):
            return submitted
    raise AssertionError("count() never ends")


def _outputs_are_there(client: Client, job: Job) -> bool:
    try:
        for artifact_id in job.artifact_ids:
            client.artifacts.get(artifact_id)
    except NotFoundError:  # somebody deleted it: a finished job never runs again, so a new pipeline must make it
        return False
    return True


def _tell_what_is_reused(session: Session, jobs: dict[str, Job]) -> None:
    done = [step for step, job in jobs.items() if job.state is JobState.SUCCEEDED]
    if done:
        session.say(f"done before and used again: {', '.join(done)}", "dim")


def _start_again(jobs: dict[str, Job]) -> None:
    for job in jobs.values():  # parents first: a parent that is retried takes its children with it
        if job.refresh().state in (JobState.FAILED, JobState.CANCELLED):
            job.retry()
        elif job.state is JobState.PAUSED:
            job.resume()
