"""The process of a job, with all that it starts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from mistudio_runtime.jobs import Stop
from mistudio_runtime.worker.reaper import kill_strays

if TYPE_CHECKING:
    Pipe = Connection[bytes, bytes]
else:  # generic only in the stubs
    Pipe = Connection


_DYING_SECONDS = 0.5


class JobProcess:
    """A child that leads a process group of its own, and the worker's end of its pipe."""

    def __init__(self, process: ForkServerProcess, connection: Pipe, folder: Path) -> None:
        """Takes the started process, and the folder of its temporary files."""
        assert process.pid
        self.pid = process.pid
        self.connection = connection
        self.resident_bytes = 0
        """Of it and its descendants, when `measure` was last called."""
        self._process = process
        self._folder = folder
        self._descendants: set[psutil.Process] = set()

    async def has_ended(self) -> None:
        """Waits until the process has ended, though others may still hold its pipe."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)

    def measure(self) -> int:
        """Looks at the process and what it has started; returns their resident memory, in bytes. Takes milliseconds."""
        total = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.pid)
            self._descendants.update(root.children(recursive=True))
            for process in [root, *self._descendants]:
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
            self.resident_bytes = total
        return total

    def tell(self, stop: Stop) -> None:
        """Asks the job to stop."""
        with contextlib.suppress(OSError):
            self.connection.send_bytes(stop.value.encode())

    def terminate(self) -> None:
        """Asks the operating system to end it."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends it for certain; what it has started follows in `clear`."""
        self._process.kill()

    def clear(self) -> int | None:
        """Kills all that is left, waits for its end, removes its temporary files; returns its exit code."""
        if self._process.exitcode is None:
            self.measure()  # finds those that have left the group
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        for process in list(self._descendants):  # somebody may still be measuring
            with contextlib.suppress(psutil.Error):
                process.kill()
        kill_strays(str(self._folder))
        self._process.join()
        psutil.wait_procs(list(self._descendants), timeout=_DYING_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)
        return self._process.exitcode

    def end_of_reading(self) -> None:
        """Lets whoever reads from the pipe see its end when all that was written is read."""
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the pipe, which nobody reads from any more, and what the operating system keeps of the process."""
        self.connection.close()
        self._process.close()
