"""What is added to log files from now on."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from mistudio.cli.stack.log_entry import LogEntry
from mistudio.cli.stack.log_files import entries_of, matching

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class FollowedFile:
    """A log that is added to; where it is rotated away or begun anew, reading goes on in the new one."""

    def __init__(self, path: Path, *, from_start: bool) -> None:
        """Opens the file; what it holds by now is skipped unless `from_start`. Raises OSError."""
        self.path = path
        self._stream = path.open("rb")
        self.place = 0 if from_start else self._end_of_lines()
        """Where the next line begins, in bytes."""
        self._time: datetime | None = None

    def poll(self) -> list[LogEntry]:
        """Returns the entries that were added since."""
        lines = self._lines()
        if self._was_replaced():
            with contextlib.suppress(FileNotFoundError):  # between the two steps of the next rotation
                fresh = self.path.open("rb")
                self.close()
                self._stream, self.place = fresh, 0
                lines += self._lines()
        entries = list(entries_of(self.path.stem, lines, self._time))
        self._time = entries[-1].time if entries else self._time
        return entries

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def _end_of_lines(self) -> int:
        end = self._stream.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(0, end - 65536)
            self._stream.seek(begin)
            if (last := self._stream.read(end - begin).rfind(b"\n")) >= 0:
                return begin + last + 1
            end = begin
        return 0

    def _lines(self) -> list[str]:
        if os.fstat(self._stream.fileno()).st_size < self.place:
            self.place = 0
        self._stream.seek(self.place)
        text = self._stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.place += len(whole)
        return whole.decode("utf-8", errors="replace").splitlines()

    def _was_replaced(self) -> bool:
        try:
            now, ours = self.path.stat(), os.fstat(self._stream.fileno())
        except FileNotFoundError:
            return False  # between the two steps of a rotation
        return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)


class LogFollower:
    """All logs of a service, or of the mesh; also those that appear later. Used in a `with` block."""

    def __init__(self, service: str) -> None:
        self._service = service
        self.files: list[FollowedFile] = []
        """Those that there are."""
        self._open_new(from_start=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            file.close()

    def poll(self) -> list[LogEntry]:
        """Returns the entries that were added since, in the order of their times."""
        self._open_new(from_start=True)
        entries = [entry for file in self.files for entry in file.poll()]
        return sorted(entries, key=lambda entry: entry.time or _LONG_AGO)

    def _open_new(self, *, from_start: bool) -> None:
        known = {file.path for file in self.files}
        for path in matching(self._service):
            with contextlib.suppress(FileNotFoundError):  # it is being rotated away; its successor comes
                if path not in known:
                    self.files.append(FollowedFile(path, from_start=from_start))
