"""`mistudio logs`."""

from __future__ import annotations

import time
from itertools import islice

import click
from rich.text import Text

from mistudio.cli.command import MeshCommand
from mistudio.cli.render.logs import render_entry
from mistudio.cli.session import Session
from mistudio.cli.stack.log_entry import LEVELS, LogEntry
from mistudio.cli.stack.log_files import entries_back, log_files
from mistudio.cli.stack.log_follower import LogFollower

_POLL_SECONDS = 0.25
_LAST = 40
_NOISE = ("Plaintext passwords",)
"""Of the broker: the file with the password can be read by its owner only."""


@click.command(cls=MeshCommand)
@click.argument("service", required=False, default="")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("-n", "--lines", type=click.IntRange(0), help=f"The last so many; {_LAST} by default, all with --job.")
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="Only what is as important as this.")
@click.option("--job", default="", metavar="JOB", help="Only what names this job.")
@click.pass_obj
def logs(  # noqa: PLR0917 - click passes them by name
    session: Session,
    service: str,
    follow: bool,  # noqa: FBT001 - click passes it by name
    lines: int | None,
    level: str,
    job: str,
) -> None:
    """Shows the logs of the mesh on this machine, in the order of time: of one SERVICE, or of all.

    The broker's routine is shown only to who asks for the broker.
    """
    names = log_files(service)
    width = 0 if len(names) == 1 and service else max(len(file.stem) for file in names)
    limit = _LAST if lines is None and not job else lines
    with LogFollower(service) as follower:  # opened before the past is read, so that nothing falls between the two
        past = entries_back((file.path, file.place) for file in follower.files)
        wanted = (entry for entry in past if _is_wanted(entry, service, level, job))
        for entry in reversed(list(islice(wanted, limit))):
            _print(session, entry, width)
        while follow:
            for entry in follower.poll():
                if _is_wanted(entry, service, level, job):
                    _print(session, entry, width)
            time.sleep(_POLL_SECONDS)


def _is_wanted(entry: LogEntry, service: str, level: str, job: str) -> bool:
    routine = entry.service == "broker" and (entry.level == "info" or any(noise in entry.text for noise in _NOISE))
    return entry.matches(level, job) and not (routine and not service)


def _print(session: Session, entry: LogEntry, width: int) -> None:
    if session.json:
        content = {"record": entry.record} if entry.record is not None else {"line": entry.text}
        session.line({"service": entry.service, **content})
        return
    before = Text(f"{entry.service:<{width}} ", style="cyan") if width else Text()
    session.console.print(before + render_entry(entry), soft_wrap=True)
