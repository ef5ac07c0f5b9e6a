"""The log files of this machine's mesh: which there are, what they end with, and what is added."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from mistudio.cli.stack.home import logs_folder, supervisor_log
from mistudio.cli.stack.log_entry import LogEntry, parse_entry
from mistudio.errors import NotFoundError

_BLOCK = 64 * 1024
_LONGEST_RUN = 200
"""Lines without a time that are kept together at most."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def log_files(service: str) -> list[Path]:
    """Returns the log files of a service, or all of them. Raises NotFoundError that lists what there is."""
    if chosen := matching(service):
        return chosen
    names = (
        ", ".join(file.stem for file in matching("")) or "nothing; a detached mesh writes them: mistudio up --detach"
    )
    raise NotFoundError(f"no log{' of ' + service if service else ''} in {logs_folder()}; there is {names}")


def matching(service: str) -> list[Path]:
    """Returns the log files of a service or of one that is numbered; of all for an empty name."""
    found = sorted(logs_folder().glob("*.log"))
    service = supervisor_log().stem if service == "supervisor" else service
    return [file for file in found if not service or service == file.stem or file.stem.startswith(f"{service}-")]


def entries_back(files: Iterable[tuple[Path, int]]) -> Iterator[LogEntry]:
    """Yields the entries of log files, each read up to a place, newest first, through those that were rotated away."""
    logs = [_entries_back(file.stem, _lines_back(file, place)) for file, place in files]
    return heapq.merge(*logs, key=lambda entry: entry.time or _LONG_AGO, reverse=True)


def entries_of(service: str, lines: Iterable[str], since: datetime | None) -> Iterator[LogEntry]:
    """Yields the entries of lines in their order; lines that tell no time come with the time before them."""
    for entry in _runs(service, lines):
        since = entry.time or since
        yield entry if entry.time else LogEntry(service, entry.text, since)


def _entries_back(service: str, lines: Iterator[str]) -> Iterator[LogEntry]:
    run: list[str] = []
    newer: datetime | None = None
    for line in lines:
        entry = parse_entry(service, line)
        if run and (entry.time or len(run) >= _LONGEST_RUN):
            yield LogEntry(service, "\n".join(reversed(run)), entry.time or newer)
            run = []
        if entry.time is None:
            run.append(line)
            continue
        newer = entry.time
        yield entry
    if run:
        yield LogEntry(service, "\n".join(reversed(run)))


def _runs(service: str, lines: Iterable[str]) -> Iterator[LogEntry]:
    run: list[str] = []
    for line in lines:
        entry = parse_entry(service, line)
        if entry.time is None:
            run.append(line)
            continue
        if run:
            yield LogEntry(service, "\n".join(run))
            run = []
        yield entry
    if run:
        yield LogEntry(service, "\n".join(run))


def _lines_back(file: Path, place: int) -> Iterator[str]:
    with file.open("rb") as stream:
        yield from _lines_before(stream, place)
    number = 1
    while (older := file.with_name(f"{file.name}.{number}")).exists():
        with older.open("rb") as stream:
            yield from _lines_before(stream, os.fstat(stream.fileno()).st_size)
        number += 1


def _lines_before(stream: BinaryIO, place: int) -> Iterator[str]:
    parts: list[bytes] = []
    """Of the line whose beginning has not been seen, the last part first."""
    while place > 0:
        begin = max(0, place - _BLOCK)
        stream.seek(begin)
        first, *whole = stream.read(place - begin).split(b"\n")
        place = begin
        if whole:
            whole[-1] += _joined(parts)
            yield from (line.decode("utf-8", errors="replace") for line in reversed(whole) if line)
            parts = []
        parts.append(first)
    if line := _joined(parts):
        yield line.decode("utf-8", errors="replace")


def _joined(parts: list[bytes]) -> bytes:
    return b"".join(reversed(parts))
