"""A lock file that says whether an owner lives, whatever files a crash left behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import psutil

_PERIOD_SECONDS = 0.05


class LockHeldError(Exception):
    """Another process holds the lock."""


class FileLock:
    """An advisory lock (flock) on a file.

    The kernel drops it when the last descriptor is closed: a holder that is killed leaves no stale lock, and a child
    that inherits `fd` keeps the lock for as long as it lives.
    """

    def __init__(self, path: Path) -> None:
        """Takes the lock without waiting; makes the file and its folder. Raises LockHeldError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self.fd)
            raise LockHeldError(str(path)) from error

    @classmethod
    async def acquire(cls, path: Path, *, within_seconds: float, give_up: Callable[[], bool]) -> FileLock:
        """Takes the lock, waiting for its holder so long or until `give_up()`. Raises LockHeldError."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + within_seconds
        while True:
            try:
                return cls(path)
            except LockHeldError:
                if give_up() or clock() >= deadline:
                    raise
            await asyncio.sleep(_PERIOD_SECONDS)

    @staticmethod
    def is_held(path: Path) -> bool:
        """Tells whether some process holds the lock."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def release(self) -> None:
        """Gives up this process's share of the lock; children that inherited it keep theirs."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def is_alive(pid: int) -> bool:
    """Tells whether a process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
