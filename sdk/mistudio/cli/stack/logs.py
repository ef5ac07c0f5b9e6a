"""`mistudio logs`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
from rich.text import Text

from mistudio.cli.command import MeshCommand
from mistudio.cli.render.logs import render_record
from mistudio.cli.session import Session
from mistudio.cli.stack.home import logs_folder, supervisor_log
from mistudio.cli.stack.supervisor import tail
from mistudio.errors import NotFoundError

_POLL = 0.25


@click.command(cls=MeshCommand)
@click.argument("service", required=False, default="")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("-n", "--lines", type=click.IntRange(0), default=40, show_default=True, help="Last lines of each file.")
@click.pass_obj
def logs(session: Session, service: str, follow: bool, lines: int) -> None:  # noqa: FBT001 - click calls it so
    """Shows the logs of the mesh on this machine: of one SERVICE, or of all."""
    files = log_files(service)
    for file in files:
        for line in tail(file, lines).splitlines():
            _print(session, file, line, several=len(files) > 1)
    if follow:
        for file, line in new_lines(files):
            _print(session, file, line, several=len(files) > 1)


def log_files(service: str) -> list[Path]:
    """Returns the log files of a service, or all of them. Raises NotFoundError that lists what there is."""
    found = sorted(logs_folder().glob("*.log"))
    if service:
        chosen = [file for file in found if service == file.stem or file.stem.startswith(f"{service}-")]
    else:  # the supervisor's log repeats all others
        chosen = [file for file in found if file != supervisor_log()] or found
    if not chosen:
        names = ", ".join(file.stem for file in found) or "nothing; a detached mesh writes them: mistudio up --detach"
        raise NotFoundError(f"no log{' of ' + service if service else ''} in {logs_folder()}; there is {names}")
    return chosen


def new_lines(files: list[Path]) -> Iterator[tuple[Path, str]]:
    """Yields what is appended to the files from now on, for ever; a file that was begun anew is read from its start."""
    places = {file: file.stat().st_size for file in files}
    while True:
        for file, place in places.items():
            size = file.stat().st_size if file.exists() else 0
            lines, places[file] = read_lines(file, place if size >= place else 0)
            yield from ((file, line) for line in lines)
        time.sleep(_POLL)


def read_lines(file: Path, place: int) -> tuple[list[str], int]:
    """Returns the whole lines from a place in a file on, and the place after them."""
    if not file.exists():
        return [], 0
    with file.open("rb") as stream:
        stream.seek(place)
        text = stream.read()
    whole = text[: text.rfind(b"\n") + 1]
    return whole.decode("utf-8", errors="replace").splitlines(), place + len(whole)


def _print(session: Session, file: Path, line: str, *, several: bool) -> None:
    if session.json:
        session.line({"service": file.stem, "line": line})
        return
    before = Text(f"{file.stem:<10} ", style="cyan") if several else Text()
    session.console.print(before + render_record(line), soft_wrap=True)
