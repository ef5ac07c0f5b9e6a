"""`mistudio doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import click

from mistudio.channel import DEFAULT_GATEWAY
from mistudio.cli.command import MeshCommand
from mistudio.cli.doctor.findings import HERE, MESH, Found, Summary, ordered
from mistudio.cli.doctor.here import check_here
from mistudio.cli.doctor.mesh import MeshAnswer, check_mesh
from mistudio.cli.doctor.render import render
from mistudio.cli.exits import Exit
from mistudio.cli.session import Session
from mistudio.cli.stack.state import StackState, running_stack


@click.command(cls=MeshCommand)
@click.pass_obj
def doctor(session: Session) -> int:
    """Looks at this machine and at the mesh, and says of each finding what helps.

    Exit code 0 with warnings at most, 12 if there is a problem, 5 if no gateway answers.
    """
    state = running_stack()
    address = _gateway(session, state)
    with ThreadPoolExecutor(1) as pool:  # both take a second or two
        here = pool.submit(check_here)
        mesh = check_mesh(address, started_here=state is not None and state.gateway == address)
    found = ordered(
        [*(Found(HERE, finding) for finding in here.result()), *(Found(MESH, finding) for finding in mesh.findings)]
    )
    summary = Summary.of(found)
    session.show(_document(address, mesh, found, summary), lambda: render(found, summary, colour=session.colour))
    return _exit(mesh, summary)


def _gateway(session: Session, state: StackState | None) -> str:
    """Returns the gateway that was named, else that of the stack that runs here."""
    return state.gateway if state is not None and session.gateway == DEFAULT_GATEWAY else session.gateway


def _exit(mesh: MeshAnswer, summary: Summary) -> Exit:
    if not mesh.gateway_version:
        return Exit.UNAVAILABLE
    return Exit.UNHEALTHY if summary.problems else Exit.OK


def _document(address: str, mesh: MeshAnswer, found: Sequence[Found], summary: Summary) -> dict[str, object]:
    return {
        "gateway": address,
        "gateway_version": mesh.gateway_version,
        "findings": [one.document() for one in found],
        "checks": summary.checks,
        "fine": summary.fine,
        "warnings": summary.warnings,
        "problems": summary.problems,
    }
