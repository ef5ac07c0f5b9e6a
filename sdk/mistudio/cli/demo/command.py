"""`mistudio demo`."""

from __future__ import annotations

import click

from mistudio.cli.command import MeshCommand
from mistudio.cli.demo.findings import read_findings
from mistudio.cli.demo.mesh import mesh
from mistudio.cli.demo.recipe import FULL, SMALL
from mistudio.cli.demo.report import next_commands, render_report
from mistudio.cli.demo.run import run
from mistudio.cli.exits import Exit
from mistudio.cli.session import Session
from mistudio.errors import JobFailedError, MistudioError


@click.command(cls=MeshCommand)
@click.option("--small", is_flag=True, help="A tiny run that takes seconds; its features mean little.")
@click.pass_obj
def demo(session: Session, small: bool) -> int | None:  # noqa: FBT001 - click calls it so
    """Takes text that comes with Python to readable features of a small language model, offline.

    Runs on the mesh that answers, or starts one and stops it at the end. Running it again uses what is done.
    """
    try:
        with mesh(session) as own, session.client() as client:
            jobs = run(session, client, SMALL if small else FULL)
            found = read_findings(client, jobs)
    except KeyboardInterrupt:
        session.say("interrupted; finished work is kept. Go on with: mistudio demo" + " --small" * small)
        return Exit.INTERRUPTED
    except JobFailedError as error:
        sentence = f"step {error.job.step}: {error.message}; mistudio demo tries it again and keeps what is done"
        raise MistudioError(sentence, reason=error.reason) from error
    document = {
        "metrics": found.metrics,
        "artifacts": found.artifacts,
        "features": found.features,
        "next": next_commands(found, own_mesh=own),
    }
    session.show(document, lambda: render_report(found, own_mesh=own, colour=session.colour))
    return None
