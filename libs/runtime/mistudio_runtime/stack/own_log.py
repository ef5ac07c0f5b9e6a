"""What a stack in the background says."""

from __future__ import annotations

from datetime import UTC, datetime

from mistudio_runtime.processes.guard import LogFile
from mistudio_runtime.stack.console import Console


class OwnLog(Console):
    """Writes the stack's own sentences, with the time, to a file of bounded size.

    The lines of its processes are not repeated: each process has a log of its own.
    """

    def __init__(self, path: str) -> None:
        """Takes the file, whose folder exists. Raises OSError."""
        super().__init__([], pretty=False)
        self._file = LogFile(path)

    def say(self, text: str) -> None:
        """Writes a sentence of the supervisor's own."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._file.write(f"{now} {text}\n".encode())

    def line(self, name: str, text: str) -> None:
        """Leaves out a process's line."""
