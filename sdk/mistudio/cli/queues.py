"""`mistudio queues`."""

from __future__ import annotations

import click

from mistudio.cli.command import MeshGroup
from mistudio.cli.render.queues import render_queues
from mistudio.cli.session import Session


@click.group(cls=MeshGroup, invoke_without_command=True)
@click.pass_context
def queues(context: click.Context) -> None:
    """Shows the queues: how deep they are, how fast they go and who serves them; pauses and resumes them."""
    if context.invoked_subcommand is None:
        session: Session = context.obj
        with session.client() as client:
            found = list(client.queues.list())
        session.show({"queues": found}, lambda: render_queues(found))


@queues.command()
@click.argument("queue")
@click.option("--reason", default="", help="Why, for whoever sees it paused.")
@click.pass_obj
def pause(session: Session, queue: str, reason: str) -> None:
    """Stops handing out a queue's jobs; those that run go on, and new ones are taken in."""
    with session.client() as client:
        found = client.queues.pause(queue, reason=reason)
    session.show(found, lambda: render_queues([found]))


@queues.command()
@click.argument("queue")
@click.pass_obj
def resume(session: Session, queue: str) -> None:
    """Hands out a queue's jobs again."""
    with session.client() as client:
        found = client.queues.resume(queue)
    session.show(found, lambda: render_queues([found]))
