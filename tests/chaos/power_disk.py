"""A disk whose power can fail: what was not synced to it is really gone.

An ext4 file system in a file on a loop device. The kernel's own "shut down" call ends it between two instructions and
throws away every dirty page and every transaction of its journal that is not on the disk; the mount after it replays
the journal, as after a power failure. (xfstests tests file systems in this way.)
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import Self

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_WITHOUT_FLUSHING = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH
_BUSY_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_TOOLS = ("losetup", "mkfs.ext4", "e2fsck", "mount", "umount")


def impossible() -> str:
    """Returns why there can be no such disk on this machine, "" if there can."""
    if os.geteuid():
        return "only root can mount a disk"
    if missing := [tool for tool in _TOOLS if not shutil.which(tool)]:
        return f"{', '.join(missing)} is not installed"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices"
    return ""


class PowerDisk:
    """The disk, mounted at `path` while the context lasts."""

    def __init__(self, folder: Path, megabytes: int = 1024) -> None:
        """Takes an empty folder for its image and its mount point."""
        self.path = folder / "disk"
        self._image = folder / "disk.img"
        self._megabytes = megabytes
        self._device = ""

    def __enter__(self) -> Self:
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(self._megabytes * 2**20)
        _do("mkfs.ext4", "-q", "-F", str(self._image))
        self._mount()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._unmount()

    def fail(self) -> None:
        """Ends the power. Whoever uses the disk gets I/O errors from now on."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING))
        finally:
            os.close(descriptor)

    def come_back(self) -> str:
        """Starts again from what is on the disk; nobody may use it any more. Returns what the check of it says."""
        self._unmount()
        checked = subprocess.run(["e2fsck", "-p", str(self._image)], capture_output=True, text=True, check=False)
        self._mount()
        return checked.stdout.strip().replace(str(self._image), "disk").replace("\n", "; ")

    def _mount(self) -> None:
        self._device = _do("losetup", "--find", "--show", str(self._image))
        _do("mount", "-o", "noatime", self._device, str(self.path))

    def _unmount(self) -> None:
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                _do("umount", str(self.path))
                break
            except subprocess.CalledProcessError:  # a process that was killed has not closed its files yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_SECONDS)
        _do("losetup", "--detach", self._device)


def _do(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
