"""`mistudio jobs logs`."""

from __future__ import annotations

import click

from mistudio.cli.command import MeshCommand
from mistudio.cli.render.logs import render_job_line
from mistudio.cli.session import Session
from mistudio.job_log import LEVELS, JobLogLine


@click.command(cls=MeshCommand)
@click.argument("job_id", metavar="JOB")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes until the job ends.")
@click.option("-n", "--lines", type=click.IntRange(0), help="Of the lines that have been, only the last so many.")
@click.option("--attempt", type=click.IntRange(1), help="Only lines of this attempt.")
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="Only lines as important as this.")
@click.pass_obj
def logs(  # noqa: PLR0917 - click passes them by name
    session: Session,
    job_id: str,
    follow: bool,  # noqa: FBT001 - click passes it by name
    lines: int | None,
    attempt: int | None,
    level: str,
) -> None:
    """Shows what a job has logged and how it fared, whichever workers ran it; Ctrl-C leaves the job alone."""
    with session.client() as client:
        told = client.jobs.logs(job_id, follow=follow, tail=lines, changes=True, attempt=attempt or 0, level=level)
        for line in told:
            if session.json:
                session.line(_as_document(job_id, line))
            else:
                session.console.print(render_job_line(line), soft_wrap=True)


def _as_document(job_id: str, line: JobLogLine) -> dict[str, object]:
    return {
        "job_id": job_id,
        "sequence": line.sequence,
        "time": line.time.isoformat(),
        "level": line.level,
        "message": line.message,
        "attempt": line.attempt,
        "worker": line.worker,
        "state": line.state,
    }
