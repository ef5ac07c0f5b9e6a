"""`mistudio top` on a terminal, from the first picture to the last key."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import termios
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.live import Live

from mistudio import errors
from mistudio.aio.client import AsyncClient
from mistudio.cli.exits import Exit
from mistudio.cli.top.feed import Feed
from mistudio.cli.top.frame import Frame
from mistudio.cli.top.keyboard import Keyboard
from mistudio.cli.top.log_pane import LogPane
from mistudio.cli.top.scene import Scene
from mistudio.cli.top.snapshot import CALL_SECONDS, Snapshot
from mistudio.cli.top.view import Control, Mode, View
from mistudio.retries import RetryPolicy

_SHORTEST_SECONDS = 0.05
"""Between two pictures."""
_CLOCK_SECONDS = 1.0


def show_screen(gateway: str, console: Console, interval: float) -> int:
    """Shows the mesh until the user has seen enough; returns the exit code. The terminal is then as it was."""
    try:
        ended_by = asyncio.run(_run(gateway, console, interval))
    except (OSError, termios.error) as error:
        if error.args[:1] != (errno.EIO,):
            raise
        ended_by = signal.SIGHUP  # the terminal has gone, and cannot be put in order
    if ended_by in (signal.SIGTERM, signal.SIGHUP):  # whoever sent it hears that it worked
        signal.signal(ended_by, signal.SIG_DFL)
        os.kill(os.getpid(), ended_by)
    return Exit.INTERRUPTED if ended_by == signal.SIGINT else Exit.OK


async def _run(gateway: str, console: Console, interval: float) -> int:
    async with AsyncClient(gateway, retry=RetryPolicy(attempts=1)) as client:
        return await _Screen(client, console, interval).run()


class _Screen:
    """Ties feed, keys and pictures together; none of them waits for another."""

    def __init__(self, client: AsyncClient, console: Console, interval: float) -> None:
        self._client = client
        self._news = asyncio.Event()
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._view = View()
        self._feed = Feed(client, interval, self._news.set)
        self._log = LogPane(client, self._news.set)
        self._shown = Snapshot()
        self._live = Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._keyboard = Keyboard(sys.stdin.fileno(), self._press, lambda: self._end(int(signal.SIGHUP)))
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Returns the signal that ended it, 0 if it was a key."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end, int(number))
        loop.add_signal_handler(signal.SIGWINCH, self._news.set)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        loop.set_exception_handler(self._broke)
        with self._live, self._keyboard:
            for work in (self._feed.run(), self._draw(), self._tick()):
                self._start(work)
            try:
                return await self._over
            finally:
                self._log.stop()
                for task in self._tasks:
                    task.cancel()

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _broke(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(error := context.get("exception"), Exception):
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        # It is raised again where the terminal has been put in order.
        if not self._over.done():
            self._over.set_exception(error)

    def _end(self, number: int) -> None:
        if not self._over.done():
            self._over.set_result(number)

    def _suspend(self) -> None:
        """Gives the terminal back for the time that Ctrl-Z lasts."""
        self._keyboard.__exit__()
        self._live.stop()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._live.start()
        self._keyboard.__enter__()
        self._news.set()

    def _press(self, key: str) -> None:
        wish = self._view.press(key)
        self._log.follow(self._view.selected if self._view.mode is Mode.JOB else "")
        self._news.set()
        if isinstance(wish, Control):
            self._start(self._control(wish))
        elif wish is not None:
            self._end(0)

    async def _control(self, wish: Control) -> None:
        calls = {
            "cancel": self._client.jobs.cancel,
            "pause": self._client.jobs.pause,
            "resume": self._client.jobs.resume,
        }
        self._view.tell(f"{wish.verb} {wish.job_id} …")
        try:
            job = await calls[wish.verb](wish.job_id, timeout=CALL_SECONDS)
            self._view.tell(f"{wish.job_id} is {job.state.lower()}")
        except errors.MistudioError as error:
            self._view.tell(f"{wish.verb} {wish.job_id}: {error.message}")
        self._feed.soon()
        self._news.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_CLOCK_SECONDS)
            self._news.set()

    async def _draw(self) -> None:
        while True:
            self._news.clear()
            if not self._view.frozen:
                self._shown = self._feed.snapshot
                self._view.show(self._shown)
            self._live.update(Frame(self._scene()), refresh=True)
            await asyncio.sleep(_SHORTEST_SECONDS)
            await self._news.wait()

    def _scene(self) -> Scene:
        return Scene(
            gateway=self._client.address,
            snapshot=self._shown,
            tally=self._feed.tally,
            view=self._view,
            now=datetime.now().astimezone(),
            problem=self._feed.problem,
            log=list(self._log.lines),
        )
