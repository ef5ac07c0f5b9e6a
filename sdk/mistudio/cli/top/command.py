"""`mistudio top`."""

from __future__ import annotations

import asyncio
import sys

import click
from rich.console import Console, Group, RenderableType
from rich.text import Text

from mistudio.aio.client import AsyncClient
from mistudio.cli.command import MeshCommand
from mistudio.cli.exits import Exit
from mistudio.cli.session import Session
from mistudio.cli.top.bars import summary
from mistudio.cli.top.list_page import missing
from mistudio.cli.top.snapshot import Snapshot, read_snapshot
from mistudio.cli.top.tables import job_table, queue_table, worker_table
from mistudio.retries import RetryPolicy


@click.command(cls=MeshCommand)
@click.option(
    "--interval", type=click.FloatRange(0.1), default=1.0, show_default=True, help="Seconds from picture to picture."
)
@click.option("--once", is_flag=True, help="Print one picture and end, as it does where there is no terminal.")
@click.pass_obj
def top(session: Session, interval: float, once: bool) -> int:  # noqa: FBT001 - click passes it by name
    """Shows queues, workers and jobs, live; cancels, pauses and resumes jobs. q quits, ? lists the keys."""
    if session.json or once or not _is_interactive(session.console):
        snapshot = asyncio.run(_read(session.gateway))
        session.show(_as_document(session.gateway, snapshot), lambda: _picture(session, snapshot))
        return Exit.OK
    from mistudio.cli.top.screen import show_screen  # noqa: PLC0415 - not every system has terminals like this

    return show_screen(session.gateway, session.console, interval)


def _is_interactive(console: Console) -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and not console.is_dumb_terminal


async def _read(gateway: str) -> Snapshot:
    async with AsyncClient(gateway, retry=RetryPolicy(attempts=3)) as client:
        return await read_snapshot(client)


def _as_document(gateway: str, snapshot: Snapshot) -> dict[str, object]:
    return {
        "gateway": gateway,
        "time": snapshot.time.isoformat(),
        "queues": list(snapshot.queues),
        "workers": list(snapshot.workers),
        "jobs": snapshot.unfinished,
    }


def _picture(session: Session, snapshot: Snapshot) -> RenderableType:
    width = session.console.width
    jobs = snapshot.unfinished
    return Group(
        summary(session.gateway, snapshot),
        Text(),
        queue_table(snapshot.queues, snapshot.workers, width),
        missing(snapshot),
        worker_table(snapshot.workers, width) if snapshot.workers else Text("no workers"),
        Text(),
        job_table(jobs, "", width) if jobs else Text("no job runs or waits"),
    )
