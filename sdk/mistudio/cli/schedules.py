"""`mistudio schedules …`."""

from __future__ import annotations

import click

from mistudio.cli.command import MeshGroup
from mistudio.cli.follow.watch import watch_to_end
from mistudio.cli.render.jobs import render_job
from mistudio.cli.render.schedules import render_schedules
from mistudio.cli.session import Session


@click.group(cls=MeshGroup, invoke_without_command=True)
@click.pass_context
def schedules(context: click.Context) -> None:
    """Shows the jobs that the mesh submits by itself, and when; pauses, resumes and runs them."""
    if context.invoked_subcommand is None:
        session: Session = context.obj
        with session.client() as client:
            found = list(client.schedules.list())
        session.show({"schedules": found}, lambda: render_schedules(found))


@schedules.command()
@click.argument("schedule")
@click.pass_obj
def pause(session: Session, schedule: str) -> None:
    """Stops a schedule until it is resumed."""
    with session.client() as client:
        found = client.schedules.pause(schedule)
    session.show(found, lambda: render_schedules([found]))


@schedules.command()
@click.argument("schedule")
@click.pass_obj
def resume(session: Session, schedule: str) -> None:
    """Lets a paused schedule go on with its next time; what it missed is not made up for."""
    with session.client() as client:
        found = client.schedules.resume(schedule)
    session.show(found, lambda: render_schedules([found]))


@schedules.command()
@click.argument("schedule")
@click.option("--watch", is_flag=True, help="Follow the job to its end.")
@click.pass_obj
def run(session: Session, schedule: str, *, watch: bool) -> int | None:
    """Submits a schedule's job now, paused or not; its times stay as they are."""
    with session.client() as client:
        job = client.schedules.run(schedule)
    if watch:
        return watch_to_end(session, [job.proto])
    session.show(job.proto, lambda: render_job(job.proto))
    session.say(f"follow it: mistudio jobs watch {job.id}", "dim")
    return None
