"""`mistudio workers …`."""

from __future__ import annotations

import click

from mistudio.cli.command import MeshGroup
from mistudio.cli.render.workers import render_workers
from mistudio.cli.session import Session


@click.group(cls=MeshGroup, invoke_without_command=True)
@click.pass_context
def workers(context: click.Context) -> None:
    """Shows the workers and what they run; drains and resizes them."""
    if context.invoked_subcommand is None:
        session: Session = context.obj
        with session.client() as client:
            found = list(client.workers.list())
        session.show({"workers": found}, lambda: render_workers(found))


@workers.command()
@click.argument("worker")
@click.pass_obj
def drain(session: Session, worker: str) -> None:
    """Lets a worker finish what it runs and claim nothing new; it then ends."""
    with session.client() as client:
        found = client.workers.drain(worker)
    session.show(found, lambda: render_workers([found]))


@workers.command()
@click.argument("worker")
@click.argument("slots", type=click.IntRange(1))
@click.option("--queue", default="", help="Of this queue; may be left out if the worker serves only one.")
@click.pass_obj
def resize(session: Session, worker: str, slots: int, queue: str) -> None:
    """Changes how many jobs of a queue a worker runs at a time."""
    with session.client() as client:
        if not queue:
            served = [q.queue for w in client.workers.list() if w.worker.name == worker for q in w.worker.queues]
            if len(served) > 1:
                raise click.UsageError(f"{worker} serves {', '.join(served)}: say which one with --queue")
            queue = served[0] if served else ""
        found = client.workers.resize(worker, queue, slots)
    session.show(found, lambda: render_workers([found]))
