"""`mistudio up`."""

from __future__ import annotations

import os
import sys

import click

from mistudio.cli.command import MeshCommand
from mistudio.cli.exits import Exit
from mistudio.cli.session import Session
from mistudio.cli.stack import supervisor
from mistudio.cli.stack.state import StackState, running_stack
from mistudio.errors import MistudioError

_DEFAULT_PROFILE = "minimal"
_START_SECONDS = 120.0
_ATTACH_SECONDS = 30.0


@click.command(cls=MeshCommand)
@click.option(
    "--profile",
    metavar="minimal|full|datasets|training",
    help=f"What to start: a profile of the queue table.  [default: {_DEFAULT_PROFILE}]",
)
@click.option("--scale", multiple=True, metavar="SERVICE=N", help="So many processes of a service. Repeatable.")
@click.option("--detach", is_flag=True, help="Start it in the background and return when the gateway answers.")
@click.pass_obj
def up(session: Session, profile: str | None, scale: tuple[str, ...], detach: bool) -> int | None:  # noqa: FBT001 - click
    """Starts the mesh on this machine.

    minimal is one process for all queues, full is one worker for each workload, datasets and training are parts of it.
    """
    if (state := running_stack()) is not None:
        return _already(session, state, profile, scale)
    profile = profile or _DEFAULT_PROFILE
    arguments = supervisor.command(profile, scale)
    if not detach:
        sys.stdout.flush()
        os.execv(arguments[0], arguments)  # noqa: S606 - our own module under our own interpreter
    process = supervisor.start(arguments)
    try:
        gateway = supervisor.wait_until_ready(process, _START_SECONDS)
    except MistudioError:
        if (winner := running_stack()) is None or winner.pid == process.pid:
            raise
        return _already(session, winner, profile, scale)
    supervisor.wait_for_workers(gateway, _ATTACH_SECONDS)
    document = {"pid": process.pid, "profile": profile, "gateway": gateway}
    session.show(document, lambda: f"the mesh runs (profile {profile}), gateway {gateway}, pid {process.pid}")
    session.say("look at it: mistudio status    stop it: mistudio down", "dim")
    return None


def _already(session: Session, state: StackState, wanted: str | None, scale: tuple[str, ...]) -> int:
    processes = ", ".join(process.name for process in state.processes)
    which = f"profile {state.profile}), gateway {state.gateway}, pid {state.pid}"
    session.show(state.document, lambda: f"the mesh runs already ({which}: {processes}")
    if wanted in (None, state.profile) and all(_has(state, one) for one in scale):
        return Exit.OK
    session.say(f"for {' '.join((f'profile {wanted or state.profile}', *scale))} stop it first: mistudio down")
    return Exit.PRECONDITION


def _has(state: StackState, scale: str) -> bool:
    name, _, count = scale.partition("=")
    return count == str(sum(process.name.rstrip("0123456789").rstrip("-") == name for process in state.processes))
