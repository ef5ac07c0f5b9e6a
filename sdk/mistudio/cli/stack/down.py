"""`mistudio down`."""

from __future__ import annotations

import click
from rich.console import Group, RenderableType
from rich.text import Text

from mistudio.cli.command import MeshCommand
from mistudio.cli.exits import Exit
from mistudio.cli.render.units import counted
from mistudio.cli.session import Session
from mistudio.cli.stack import supervisor
from mistudio.cli.stack.state import StackState, running_stack
from mistudio.cli.stack.unfinished import Unfinished, read_unfinished

_SHOWN = 20


@click.command(cls=MeshCommand)
@click.option("--timeout", type=float, default=120.0, show_default=True, help="Seconds to wait for the drain.")
@click.option(
    "--force", is_flag=True, help="Do not wait for jobs: kill them. They run again from their last checkpoint."
)
@click.pass_obj
def down(session: Session, timeout: float, force: bool) -> int | None:  # noqa: FBT001 - click calls it so
    """Stops the mesh on this machine; what runs is checkpointed or put back, nothing is lost."""
    state = running_stack()
    if state is None:
        session.show({"stopped": False}, lambda: "no mesh runs here")
        return None
    if force:
        supervisor.kill(state.pid)
    stopped = supervisor.stop(state.pid, timeout)
    if not stopped:
        still = f"the mesh still drains (pid {state.pid}); wait on: mistudio down    kill: mistudio down --force"
        session.errors.print(still, soft_wrap=True)
        return Exit.TIMEOUT
    left = [process for process in state.processes if process.alive]
    unfinished = read_unfinished(state.pid)
    document = {
        "stopped": True,
        "unfinished": None if unfinished is None else unfinished.document,
        "left": [process.pid for process in left],
    }
    session.show(document, lambda: _render(state, unfinished, [f"{one.name} (pid {one.pid})" for one in left]))
    return Exit.FAILED if left else None


def _render(state: StackState, unfinished: Unfinished | None, left: list[str]) -> RenderableType:
    lines = [Text(f"the mesh is down ({counted(len(state.processes), 'process')})")]
    if unfinished is None:
        lines.append(Text("its gateway could not say which jobs are unfinished; they are all kept", style="yellow"))
    else:
        lines += _jobs(unfinished)
    if left:
        lines.append(Text(f"still running: {', '.join(left)}", style="red"))
    return Group(*lines)


def _jobs(unfinished: Unfinished) -> list[Text]:
    lines = []
    if unfinished.requeued:
        lines.append(Text(f"requeued {counted(len(unfinished.requeued), 'job')}; the next mistudio up goes on with:"))
        lines += [Text(f"  {job_id}  {kind}", style="dim") for job_id, kind in unfinished.requeued[:_SHOWN]]
    if unfinished.queued:
        lines.append(Text(f"{counted(unfinished.queued, 'job')} waiting in the queues, kept for the next mistudio up"))
    if unfinished.paused:
        lines.append(Text(f"{counted(unfinished.paused, 'job')} paused: mistudio jobs resume JOB"))
    return lines
