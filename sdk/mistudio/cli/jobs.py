"""`mistudio jobs …`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import click

from mistudio.blocking.client import Client
from mistudio.blocking.job import Job
from mistudio.cli.command import MeshGroup
from mistudio.cli.follow.watch import watch_to_end
from mistudio.cli.job_logs import logs
from mistudio.cli.render.jobs import render_job, render_jobs
from mistudio.cli.session import Session
from mistudio.cli.spec.options import JsonText, read_spec
from mistudio.cli.spec.values import Pair
from mistudio.specs import KINDS
from mistudio.states import JobState

_STATES = [state.lower() for state in JobState if state is not JobState.UNSPECIFIED]


@click.group(cls=MeshGroup)
def jobs() -> None:
    """Lists, follows and controls jobs."""


jobs.add_command(logs)


@jobs.command("list")
@click.option("--state", "states", type=click.Choice(_STATES), multiple=True, help="Only this state. Repeatable.")
@click.option("--kind", "kinds", type=click.Choice(list(KINDS)), multiple=True, help="Only this kind. Repeatable.")
@click.option("--queue", "queues", multiple=True, help="Only this queue. Repeatable.")
@click.option("--pipeline", default="", help="Only jobs of this pipeline.")
@click.option("--label", "labels", type=Pair(), multiple=True, help="Only jobs with this label. Repeatable.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@click.pass_obj
def list_jobs(  # noqa: PLR0917 - click passes them by name
    session: Session,
    states: tuple[str, ...],
    kinds: tuple[str, ...],
    queues: tuple[str, ...],
    pipeline: str,
    labels: tuple[tuple[str, str], ...],
    limit: int,
) -> None:
    """Lists jobs, newest first."""
    with session.client() as client:
        found = client.jobs.list(
            states=[JobState(state.upper()) for state in states],
            kinds=kinds,
            queues=queues,
            pipeline_id=pipeline,
            labels=dict(labels),
            page_size=min(limit, 1000),
        )
        protos = [job.proto for job in islice(found, limit)]
    session.show({"jobs": protos}, lambda: render_jobs(protos))


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.pass_obj
def get(session: Session, job_id: str) -> None:
    """Shows one job with its attempts."""
    with session.client() as client:
        job = client.jobs.get(job_id).proto
    session.show(job, lambda: render_job(job))


@jobs.command()
@click.argument("job_ids", metavar="JOB…", nargs=-1, required=True)
@click.pass_obj
def watch(session: Session, job_ids: tuple[str, ...]) -> int:
    """Follows jobs to their end. Ctrl-C only stops watching; the jobs go on."""
    with session.client() as client:
        protos = [client.jobs.get(job_id).proto for job_id in job_ids]
    return watch_to_end(session, protos)


def _control(session: Session, job_ids: tuple[str, ...], act: Callable[[Client, str], Job]) -> None:
    with session.client() as client:
        protos = [act(client, job_id).proto for job_id in job_ids]
    session.show({"jobs": protos}, lambda: render_jobs(protos))


@jobs.command()
@click.argument("job_ids", metavar="JOB…", nargs=-1, required=True)
@click.pass_obj
def cancel(session: Session, job_ids: tuple[str, ...]) -> None:
    """Cancels jobs: queued, they never start; running, they are over within the grace."""
    _control(session, job_ids, lambda client, job_id: client.jobs.cancel(job_id))


@jobs.command()
@click.argument("job_ids", metavar="JOB…", nargs=-1, required=True)
@click.pass_obj
def pause(session: Session, job_ids: tuple[str, ...]) -> None:
    """Pauses jobs: queued, they leave their queue; running, they stop after a checkpoint."""
    _control(session, job_ids, lambda client, job_id: client.jobs.pause(job_id))


@jobs.command()
@click.argument("job_ids", metavar="JOB…", nargs=-1, required=True)
@click.pass_obj
def resume(session: Session, job_ids: tuple[str, ...]) -> None:
    """Puts paused jobs back into their queues."""
    _control(session, job_ids, lambda client, job_id: client.jobs.resume(job_id))


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("--params", type=JsonText(), metavar="JSON|FILE|-", help="A changed spec as JSON.")
@click.option("--watch", is_flag=True, help="Follow the job to its end.")
@click.pass_obj
def retry(session: Session, job_id: str, params: str | None, watch: bool) -> int | None:  # noqa: FBT001 - click
    """Puts a failed or cancelled job back into its queue, with a changed spec if given."""
    with session.client() as client:
        job = client.jobs.get(job_id)
        job.retry(None if params is None else read_spec(job.kind, params, {}))
    if watch:
        return watch_to_end(session, [job.proto])
    session.show(job.proto, lambda: render_job(job.proto))
    return None
