"""TensorBoard event files of one run, written so that a reader sees each point once, whatever was interrupted."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

_FILES = "events.out.tfevents.*"
_VERSION = "brain.Event:2"


class EventFiles:
    """Appends scalars to a folder. Each instance and each rewind begins a file: the last may end in half a record.

    A point that stands there already is passed over. One that differs says that the training went back: the new file
    begins with a session start at its step, at which readers drop what was from there on.
    """

    def __init__(self, folder: Path) -> None:
        """Takes the folder and reads what an earlier attempt wrote there. Raises OSError."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._known = _read(folder)
        self._step: int | None = None
        self._begin(0.0)

    def add(self, name: str, value: float, step: int, time: float) -> None:
        """Writes a value measured after `step` steps, at `time` in seconds since the epoch. Raises OSError."""
        value = _single(value)
        before = self._known.get((name, step))
        if before is not None and _same(before, value):
            return
        if before is not None:
            self._rewind(step, time)
        elif step != self._step:
            self._file.flush()
        self._step = step
        self._known[name, step] = value
        self._write(Event(wall_time=time, step=step, summary=Summary(value=[{"tag": name, "simple_value": value}])))

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _rewind(self, step: int, time: float) -> None:
        self._file.close()
        self._known = {key: value for key, value in self._known.items() if key[1] < step}
        self._begin(time)
        self._write(Event(wall_time=time, step=step, session_log=SessionLog(status=SessionLog.START)))

    def _begin(self, time: float) -> None:
        count = len(list(self._folder.glob(_FILES)))
        # Numbered, not dated: readers take the files in the order of their names.
        self._file = (self._folder / f"events.out.tfevents.{count:010d}").open("xb")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time, file_version=_VERSION))

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())


def _read(folder: Path) -> dict[tuple[str, int], float]:
    known: dict[tuple[str, int], float] = {}
    for event in _events(folder):
        if event.HasField("session_log"):
            known = {key: value for key, value in known.items() if key[1] < event.step}
        for value in event.summary.value:
            known[value.tag, event.step] = value.simple_value
    return known


def _events(folder: Path) -> Iterator[Event]:
    for path in sorted(folder.glob(_FILES)):
        for record in RawEventFileLoader(str(path)).Load():
            yield Event.FromString(record)


def _single(value: float) -> float:
    """Returns the value as the file holds it, in single precision; what is too large becomes infinite."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)  # noqa: PLR0124 - NaN is equal to nothing, not even to NaN
