"""`mistudio down`."""

from __future__ import annotations

import click
from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.blocking.client import Client
from mistudio.cli.command import MeshCommand
from mistudio.cli.exits import Exit
from mistudio.cli.session import Session
from mistudio.cli.stack import supervisor
from mistudio.cli.stack.state import StackState, running_stack
from mistudio.errors import MistudioError
from mistudio.retries import RetryPolicy
from mistudio.states import JobState

_UNFINISHED = (JobState.RUNNING, JobState.QUEUED, JobState.WAITING)


@click.command(cls=MeshCommand)
@click.option("--timeout", type=float, default=120.0, show_default=True, help="Seconds to wait for the drain.")
@click.pass_obj
def down(session: Session, timeout: float) -> int | None:
    """Stops the mesh on this machine; what runs is checkpointed or put back, nothing is lost."""
    state = running_stack()
    if state is None:
        session.show({"stopped": False}, lambda: "no mesh runs here")
        return None
    unfinished = _unfinished(state)
    stopped = supervisor.stop(state.pid, timeout)
    if not stopped:
        session.errors.print(f"the mesh still drains (pid {state.pid}); wait, or look: mistudio logs", soft_wrap=True)
        return Exit.TIMEOUT
    left = [process for process in state.processes if process.alive]
    document = {"stopped": True, "requeued": unfinished, "left": [process.pid for process in left]}
    session.show(document, lambda: _render(state, unfinished, [f"{one.name} (pid {one.pid})" for one in left]))
    return Exit.FAILED if left else None


def _unfinished(state: StackState) -> list[v1.Job]:
    try:
        with Client(state.gateway, timeout=3.0, retry=RetryPolicy(attempts=1)) as client:
            return [job.proto for job in client.jobs.list(states=_UNFINISHED, page_size=1000)]
    except MistudioError:  # a gateway that does not answer must not keep the mesh from stopping
        return []


def _render(state: StackState, unfinished: list[v1.Job], left: list[str]) -> RenderableType:
    lines = [Text(f"the mesh is down ({len(state.processes)} processes)")]
    if unfinished:
        lines.append(Text(f"{len(unfinished)} jobs go on at the next mistudio up:"))
        lines += [Text(f"  {job.id}  {job.kind}", style="dim") for job in unfinished[:20]]
    if left:
        lines.append(Text(f"still running: {', '.join(left)}", style="red"))
    return Group(*lines)
