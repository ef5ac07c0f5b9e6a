"""Follows jobs to their end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from typing import Any

from mistudio import v1
from mistudio.aio.client import AsyncClient
from mistudio.cli.exits import Exit, of_state
from mistudio.cli.follow.board import Board
from mistudio.cli.follow.lines import JsonView, SilentView
from mistudio.cli.follow.live import LiveView
from mistudio.cli.follow.plain import PlainView
from mistudio.cli.follow.view import View
from mistudio.cli.render.board import render_end
from mistudio.cli.session import Session
from mistudio.states import JobState

_CANCEL_SECONDS = 2.0


def follow(session: Session, board: Board, *, replay_finished: bool = True, json_lines: bool = True) -> None:
    """Shows the jobs' events until all have ended; those of jobs that are over by now only if asked.

    For a script that wants JSON, `json_lines` says whether the events themselves are part of the answer. Raises
    MistudioError; KeyboardInterrupt leaves the jobs alone.
    """
    ids = [job_id for job_id, row in board.rows.items() if replay_finished or not row.state.is_over]
    silent = session.json and not json_lines
    with SilentView(board) if silent else _view(session, board) as view:
        interrupted = asyncio.run(_follow_all(session.gateway, ids, view))
    if interrupted:
        raise KeyboardInterrupt


def watch_to_end(session: Session, jobs: Sequence[v1.Job]) -> int:
    """Follows jobs, says how they ended and returns the exit code: the first that is not OK, in the jobs' order."""
    board = Board(jobs)
    try:
        follow(session, board)
    except KeyboardInterrupt:
        ids = " ".join(board.rows)
        session.say(f"detached; the work goes on. Watch again: mistudio jobs watch {ids}")
        return Exit.INTERRUPTED
    code = next((code for job in board.jobs() if (code := of_state(JobState.of(job)))), Exit.OK)
    if not session.json and (code or not session.console.is_terminal):  # on a terminal the board still shows success
        session.console.print(render_end(board))
    return code


def _view(session: Session, board: Board) -> View:
    if session.json:
        return JsonView(session, board)
    if session.console.is_terminal:
        return LiveView(session.console, board)
    return PlainView(session.console, board)


async def _follow_all(gateway: str, job_ids: list[str], view: View) -> bool:
    """Follows the jobs; returns whether Ctrl-C ended that before they did.

    asyncio's own way, a cancellation, may be lost in what it passes through; a flag is not.
    """
    interrupted = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows: asyncio's own way has to do
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    async with AsyncClient(gateway) as client:
        following = asyncio.create_task(_follow_each(client, job_ids, view))
        flag = asyncio.create_task(interrupted.wait())
        either: set[asyncio.Future[Any]] = {following, flag}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        flag.cancel()
        if interrupted.is_set():
            following.cancel()
            await asyncio.wait({following}, timeout=_CANCEL_SECONDS)
            return True
        await following
        return False


async def _follow_each(client: AsyncClient, job_ids: list[str], view: View) -> None:
    await asyncio.gather(*(_follow_one(client, job_id, view) for job_id in job_ids))


async def _follow_one(client: AsyncClient, job_id: str, view: View) -> None:
    async for event in client.jobs.watch(job_id):
        view.show(event)
