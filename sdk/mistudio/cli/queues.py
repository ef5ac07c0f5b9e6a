"""`mistudio queues`."""

from __future__ import annotations

import click

from mistudio.cli.command import MeshGroup
from mistudio.cli.render.queues import render_queues
from mistudio.cli.session import Session


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
