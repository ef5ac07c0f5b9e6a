"""`mistudio jobs …`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import click
from google.protobuf.duration_pb2 import Duration

from mistudio.blocking.client import Client
from mistudio.blocking.job import Job
from mistudio.cli.command import MeshGroup
from mistudio.cli.follow.watch import watch_to_end
from mistudio.cli.job_logs import logs
from mistudio.cli.render.jobs import render_job, render_jobs
from mistudio.cli.render.units import counted
from mistudio.cli.session import Session
from mistudio.cli.spec.assign import assign
from mistudio.cli.spec.moments import Moment
from mistudio.cli.spec.options import JsonText, read_spec
from mistudio.cli.spec.values import Pair, TimeSpan
from mistudio.specs import KINDS
from mistudio.states import JobState

_ORDERS = [field + end for field in ("create_time", "update_time", "end_time", "priority") for end in ("", " desc")]
_AT_A_TIME = 1_000
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
@click.option("--created-since", type=Moment(), help="Only jobs submitted then or later, e.g. 2026-01-31, or 7d (ago).")
@click.option("--created-before", type=Moment(), help="Only jobs submitted before then.")
@click.option("--ended-before", type=Moment(), help="Only jobs that ended before then.")
@click.option("--order-by", type=click.Choice(_ORDERS), default=_ORDERS[1], show_default=True, help="What comes first.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@click.pass_obj
def list_jobs(  # noqa: PLR0917 - click passes them by name
    session: Session,
    /,
    states: tuple[str, ...],
    kinds: tuple[str, ...],
    queues: tuple[str, ...],
    pipeline: str,
    labels: tuple[tuple[str, str], ...],
    limit: int,
    **more: Any,
) -> None:
    """Lists jobs, newest first unless another order is asked for."""
    with session.client() as client:
        found = client.jobs.list(
            states=[JobState(state.upper()) for state in states],
            kinds=kinds,
            queues=queues,
            pipeline_id=pipeline,
            labels=dict(labels),
            page_size=min(limit, 1000),
            **more,
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
@click.argument("job_ids", metavar="JOB…", nargs=-1, required=True)
@click.pass_obj
def finish(session: Session, job_ids: tuple[str, ...]) -> None:
    """Asks jobs to finish now and to keep what they have, e.g. an SAE as far as it is trained."""
    _control(session, job_ids, lambda client, job_id: client.jobs.finish(job_id))


@jobs.command()
@click.argument("job_ids", metavar="JOB…", nargs=-1, required=True)
@click.pass_obj
def delete(session: Session, job_ids: tuple[str, ...]) -> None:
    """Deletes the records and events of jobs that have ended; their artifacts stay."""
    with session.client() as client:
        parts = (job_ids[start : start + _AT_A_TIME] for start in range(0, len(job_ids), _AT_A_TIME))
        deleted = sum(client.jobs.delete(part) for part in parts)
    session.show({"deleted": deleted}, lambda: f"{counted(deleted, 'job')} deleted")


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("--params", type=JsonText(), metavar="JSON|FILE|-", help="A changed spec as JSON.")
@click.option("--set", "changes", type=Pair(), multiple=True, metavar="FIELD=VALUE", help="Change a field.")
@click.option("--timeout", type=TimeSpan(), help="How long one attempt may run from now on; 0s is for ever.")
@click.option("--watch", is_flag=True, help="Follow the job to its end.")
@click.pass_obj
def retry(  # noqa: PLR0917 - click passes them by name
    session: Session,
    job_id: str,
    params: str | None,
    changes: tuple[tuple[str, str], ...],
    timeout: Duration | None,
    watch: bool,  # noqa: FBT001 - click passes it by name
) -> int | None:
    """Puts a failed or cancelled job back into its queue, with a changed spec or timeout if given."""
    with session.client() as client:
        job = client.jobs.get(job_id)
        spec = None if params is None else read_spec(job.kind, params, {})
        if changes:
            spec = getattr(job.proto.spec, job.kind) if spec is None else spec
            assign(spec, job.kind, changes)
        job.retry(spec, job_timeout=timeout)
    if watch:
        return watch_to_end(session, [job.proto])
    session.show(job.proto, lambda: render_job(job.proto))
    return None
