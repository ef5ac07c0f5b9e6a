"""`mistudio status`."""

from __future__ import annotations

import click
from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.command import MeshCommand
from mistudio.cli.exits import Exit
from mistudio.cli.render.queues import render_queues
from mistudio.cli.render.style import table
from mistudio.cli.render.workers import render_workers
from mistudio.cli.session import Session
from mistudio.cli.stack.home import supervisor_log
from mistudio.cli.stack.state import StackState, running_stack
from mistudio.errors import UnavailableError


@click.command(cls=MeshCommand)
@click.pass_obj
def status(session: Session) -> int:
    """Shows what runs on this machine, and the queues and workers of the gateway. Exit code 5 if no gateway answers."""
    state = running_stack()
    if state is not None:
        session.gateway = state.gateway
    try:
        with session.client() as client:
            queues, workers, answers = list(client.queues.list()), list(client.workers.list()), True
    except UnavailableError:
        queues, workers, answers = [], [], False
    document = {
        "stack": None if state is None else state.document,
        "gateway": session.gateway,
        "answers": answers,
        "queues": queues,
        "workers": workers,
    }
    session.show(document, lambda: _render(session.gateway, state, queues, workers, answers=answers))
    return Exit.OK if answers else Exit.UNAVAILABLE


def _render(
    gateway: str,
    state: StackState | None,
    queues: list[v1.Queue],
    workers: list[v1.WorkerStatus],
    *,
    answers: bool,
) -> RenderableType:
    parts: list[RenderableType] = [Text("no mesh runs here") if state is None else _processes(state)]
    if not answers:
        return Group(*parts, Text(f"no gateway answers at {gateway}; start one: mistudio up", style="yellow"))
    return Group(*parts, Text(f"gateway {gateway}\n"), render_queues(queues), render_workers(workers))


def _processes(state: StackState) -> RenderableType:
    made = table("#process", ">pid", "#state", "log", title=f"profile {state.profile}, since {state.started}")
    made.add_row("supervisor", str(state.pid), "running", Text(_own_log(), style="dim"))
    for process in state.processes:
        running = Text("running") if process.alive else Text("ended", style="red")
        made.add_row(process.name, str(process.pid), running, Text(process.log, style="dim"))
    return made


def _own_log() -> str:
    log = supervisor_log()  # only a mesh in the background has one
    return str(log) if log.exists() else ""
