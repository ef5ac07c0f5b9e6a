"""`mistudio queues` and `mistudio route KIND`."""

from __future__ import annotations

import click

from mistudio.cli.command import MeshCommand, MeshGroup
from mistudio.cli.render.queues import render_queues, render_route
from mistudio.cli.session import Session
from mistudio.specs import KINDS


@click.group(cls=MeshGroup, invoke_without_command=True)
@click.pass_context
def queues(context: click.Context) -> None:
    """Shows the queues, how deep they are and who serves them; pauses and resumes them."""
    if context.invoked_subcommand is None:
        session: Session = context.obj
        with session.client() as client:
            found = list(client.queues.list())
        session.show({"queues": found}, lambda: render_queues(found))


@queues.command()
@click.argument("queue")
@click.pass_obj
def pause(session: Session, queue: str) -> None:
    """Stops handing out a queue's jobs; those that run go on."""
    with session.client() as client:
        found = client.queues.pause(queue)
    session.show(found, lambda: render_queues([found]))


@queues.command()
@click.argument("queue")
@click.pass_obj
def resume(session: Session, queue: str) -> None:
    """Hands out a queue's jobs again."""
    with session.client() as client:
        found = client.queues.resume(queue)
    session.show(found, lambda: render_queues([found]))


@click.command(cls=MeshCommand)
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("--priority", type=click.IntRange(1, 10), help="The priority that the job would carry.")
@click.pass_obj
def route(session: Session, kind: str, priority: int | None) -> None:
    """Says where a job of a kind would go, and who would take it now."""
    with session.client() as client:
        found = client.queues.explain(kind, priority=priority or 0)
    session.show(found, lambda: render_route(found))
