"""Runs one command and ends it when the process that asked for it is gone.

Usage: guard.py GRACE_SECONDS LOG FDS COMMAND...   (FDS: inherited descriptors for the command, comma-separated)

stdin is the lifeline and takes orders: T sends the command SIGTERM, K sends its process group SIGKILL. End of file
means that the parent is gone, however it died: SIGTERM, and SIGKILL after the grace.
stdout repeats the command's output as far as its reader keeps up; LOG gets all of it.
stderr says `pid N`, then `exit N` (negative: a signal), or `error TEXT` if the command cannot be started.

Standard library only and started with -I -S: it must be up in milliseconds and import nothing of the mesh.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

KEPT_LOGS = 3
MAX_LOG_BYTES = 64 * 2**20
MAX_BACKLOG_BYTES = 2**20
LINGER_SECONDS = 2.0
_STDIN, _STDOUT = 0, 1
_CHUNK = 65536


def rotate(log: str, kept: int = KEPT_LOGS) -> None:
    """Moves LOG to LOG.1, LOG.1 to LOG.2 and so on; what was LOG.<kept> is gone."""
    for number in range(kept, 0, -1):
        with suppress(FileNotFoundError):
            os.replace(f"{log}.{number - 1}" if number > 1 else log, f"{log}.{number}")  # noqa: PTH105 - no pathlib here


class LogFile:
    """A file that output is appended to; at its size limit it is rotated."""

    def __init__(self, path: str) -> None:
        """Takes the path, whose folder exists."""
        self._path = path
        self._fd = self._open()

    def write(self, data: bytes) -> None:
        """Appends. A full disk must not end what is guarded, so it costs these bytes only."""
        with suppress(OSError):
            os.write(self._fd, data)
            if os.fstat(self._fd).st_size > MAX_LOG_BYTES:
                os.close(self._fd)
                rotate(self._path)
                self._fd = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


class Guard:
    """The loop between parent and command."""

    def __init__(self, process: subprocess.Popen[bytes], log: LogFile, grace: float, signals: int) -> None:
        """Takes the started command, the grace in seconds and a descriptor that is readable after a signal."""
        assert process.stdout is not None
        self._process = process
        self._log = log
        self._grace = grace
        self._output = process.stdout.fileno()
        self._signals = signals
        self._watched = {_STDIN, self._output, signals}
        self._deadline: float | None = None
        self._backlog = bytearray()
        self._reader_lives = True

    def run(self) -> int:
        """Returns the command's exit code when neither it nor anything of its process group is left."""
        while (code := self._process.poll()) is None:
            self._wait(None if self._deadline is None else self._deadline - time.monotonic())
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._kill()
        self._sweep()
        os.set_blocking(_STDOUT, True)
        self._forward()
        return code

    def _sweep(self) -> None:
        # Helpers of the command get a moment to see that it is gone; what then still holds its output is killed.
        end = time.monotonic() + LINGER_SECONDS
        while self._output in self._watched and (left := end - time.monotonic()) > 0:
            self._wait(left)
        self._kill()

    def _wait(self, seconds: float | None) -> None:
        timeout = None if seconds is None else max(seconds, 0.0)
        readable, writable, _ = select.select(self._watched, [_STDOUT] if self._backlog else [], [], timeout)
        if self._signals in readable and signal.SIGTERM in os.read(self._signals, _CHUNK):
            self._terminate()
        if self._output in readable:
            self._pump()
        elif writable:
            self._forward()
        if _STDIN in readable:
            self._obey(os.read(_STDIN, _CHUNK))

    def _obey(self, orders: bytes) -> None:
        if b"K" in orders:
            self._kill()
        elif b"T" in orders:
            self._terminate()
        elif not orders:
            self._watched.discard(_STDIN)
            self._terminate()
            self._deadline = time.monotonic() + self._grace

    def _pump(self) -> None:
        data = os.read(self._output, _CHUNK)
        if not data:
            self._watched.discard(self._output)
            return
        self._log.write(data)
        # A reader that does not keep up (a stopped terminal) loses lines rather than halting the command.
        if self._reader_lives and len(self._backlog) + len(data) <= MAX_BACKLOG_BYTES:
            self._backlog += data
        self._forward()

    def _forward(self) -> None:
        try:
            while self._backlog:
                del self._backlog[: os.write(_STDOUT, self._backlog)]
        except BlockingIOError:
            pass
        except OSError:
            self._reader_lives = False
            self._backlog.clear()

    def _terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)


def _signal_pipe() -> int:
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    # Handlers, not SIG_IGN: an ignored signal would stay ignored in the command.
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return readable


def _report(text: str) -> None:
    with suppress(OSError):
        os.write(2, f"{text}\n".encode(errors="replace"))


def main(arguments: list[str]) -> int:
    """Guards one command to its end. Returns 0, or 127 if it cannot be started."""
    grace, log, fds, *command = arguments
    signals = _signal_pipe()
    os.set_blocking(_STDOUT, False)
    try:
        file = LogFile(log)
        process = subprocess.Popen(  # noqa: S603 - the command is the parent's
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[int(fd) for fd in fds.split(",") if fd],
        )
    except OSError as error:
        _report(f"error {error}")
        return 127
    _report(f"pid {process.pid}")
    _report(f"exit {Guard(process, file, float(grace), signals).run()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
