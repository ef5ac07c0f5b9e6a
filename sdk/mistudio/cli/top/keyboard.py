"""Keys as they are pressed."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from collections.abc import Callable
from typing import Self

from mistudio.cli.top.keys import KeyDecoder

_ESCAPE_SECONDS = 0.05
"""An escape that nothing follows for so long is the key of this name."""


class Keyboard:
    """Gives each key to `press` while the block runs; the terminal is afterwards as it was, whatever happens."""

    def __init__(self, fd: int, press: Callable[[str], None], lost: Callable[[], None]) -> None:
        """Takes the terminal's descriptor; `lost` hears, once, that the terminal has gone."""
        self._fd = fd
        self._press = press
        self._lost = lost
        self._decoder = KeyDecoder()
        self._waiting: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd, termios.TCSANOW)  # keys at once and unseen; Ctrl-C and Ctrl-Z stay signals
        asyncio.get_running_loop().add_reader(self._fd, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        termios.tcsetattr(self._fd, termios.TCSAFLUSH, self._before)

    def _read(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        try:
            read = os.read(self._fd, 1024)
        except OSError:
            read = b""
        if not read:  # it would be readable for ever
            asyncio.get_running_loop().remove_reader(self._fd)
            self._lost()
            return
        for key in self._decoder.feed(read):
            self._press(key)
        if self._decoder.waits:
            self._waiting = asyncio.get_running_loop().call_later(_ESCAPE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        for key in self._decoder.give_up():
            self._press(key)
