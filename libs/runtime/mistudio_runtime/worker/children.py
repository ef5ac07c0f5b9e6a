"""Starts the processes of jobs, and sees to it that nothing of them outlives this worker."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from mistudio import v1
from mistudio_runtime.jobs import Handler
from mistudio_runtime.settings import Settings
from mistudio_runtime.worker import child, reaper
from mistudio_runtime.worker.job_process import JobProcess

log = structlog.get_logger(__name__)

_TRIES = 2
_PREFIX = "mistudio-"
_LONGEST_FOLDER = 70
"""The path of a socket has at most 107 bytes (103 on macOS), and the forkserver adds 32 to this."""
if TYPE_CHECKING:
    Pipe = Connection[bytes, bytes]
else:  # generic only in the stubs
    Pipe = Connection


class ChildProcesses:
    """Starts children from a forkserver that has imported what they need, and never a GPU library's state."""

    def __init__(self, preload: Sequence[str], settings: Settings) -> None:
        """Takes the modules that every child needs."""
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*preload, child.__name__])
        self._settings = settings
        self._running: dict[str, JobProcess] = {}
        """By job."""
        self._lock = threading.Lock()
        self._reaper: subprocess.Popen[str] | None = None
        self._folder = Path()

    def warm(self) -> None:
        """Starts the forkserver, so that the first job does not wait for its imports."""
        with self._lock:
            self._watch_over()
            forkserver.ensure_running()

    def start(self, handler: Handler, granted: v1.ClaimAnswer) -> JobProcess:
        """Starts a job's process. Raises OSError if the machine has no room for one more."""
        with self._lock:
            self._watch_over()
            for left in reversed(range(_TRIES)):
                try:
                    started = self._start(handler, granted)
                    break
                except (OSError, EOFError) as error:
                    # The forkserver was killed just now; the next try starts another one.
                    if not left:
                        raise OSError(str(error)) from error
            self._running[granted.job.id] = started
            self._order(f"+{started.pid}")
        return started

    def ended(self, job_id: str) -> None:
        """Forgets a job's process, which has ended with all that it started."""
        with self._lock:
            if process := self._running.pop(job_id, None):
                self._order(f"-{process.pid}")

    def resident_bytes(self, job_id: str) -> int:
        """Returns what a job's process took when it was last looked at, in bytes; 0 if it has none."""
        process = self._running.get(job_id)
        return process.resident_bytes if process else 0

    def _start(self, handler: Handler, granted: v1.ClaimAnswer) -> JobProcess:
        ours, theirs = self._context.Pipe()
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        process: ForkServerProcess = self._context.Process(
            target=child.main,
            args=(theirs, handler, granted.SerializeToString(), self._settings, str(folder)),
            name=f"{granted.job.kind} {granted.job.id}",
        )
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return JobProcess(process, ours, folder)

    def _watch_over(self) -> None:
        """Starts the reaper, again if somebody has killed it."""
        if self._reaper is not None and self._reaper.poll() is None:
            return
        if not self._folder.name:
            folder = tempfile.mkdtemp(prefix=_PREFIX)
            if len(folder) > _LONGEST_FOLDER:
                Path(folder).rmdir()
                folder = tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp")  # made for its owner only
            self._folder = Path(folder)
            tempfile.tempdir = str(self._folder)  # of the forkserver's socket
        command = [sys.executable, "-I", "-S", reaper.__file__, str(self._folder)]
        self._reaper = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        for process in self._running.values():
            self._order(f"+{process.pid}")

    def _order(self, order: str) -> None:
        assert self._reaper is not None
        assert self._reaper.stdin is not None
        try:
            self._reaper.stdin.write(f"{order}\n")
            self._reaper.stdin.flush()
        except OSError:
            log.warning("the reaper has ended; the next job starts another one")
