"""A real terminal: one pane of a tmux server of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

from support.waiting import eventually

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
PROMPT = "$ "
_PERIOD_SECONDS = 0.1


class Terminal:
    """A shell in a terminal of a fixed size; keys go in, the screen comes out."""

    def __init__(self, environment: Mapping[str, str], *, columns: int = 80, lines: int = 24) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="terminal-"))
        # A size in the environment, as processes of pytest-xdist have it, would hide the terminal's own.
        given = {
            name: value for name, value in {**os.environ, **environment}.items() if name not in ("COLUMNS", "LINES")
        }
        self._environment = given | {"LANG": "C.UTF-8", "TERM": "screen"}
        self._size = columns, lines

    def __enter__(self) -> Self:
        columns, lines = self._size
        shell = f"env PS1='{PROMPT}' bash --norc --noprofile"  # a shell that only starts another unsets it
        self._tmux("new-session", "-d", "-x", str(columns), "-y", str(lines), shell)
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")
        shutil.rmtree(self._folder)

    def type(self, text: str) -> None:
        """Types characters as they are."""
        self._tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Presses keys by the names that tmux has for them: Enter, Escape, Down, C-c."""
        self._tmux("send-keys", *keys)

    def run(self, command: str) -> None:
        """Types a command and Enter."""
        self.type(command)
        self.press("Enter")

    def resize(self, columns: int, lines: int) -> None:
        """Changes the window's size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def screen(self) -> str:
        """Returns what the screen shows."""
        return self._tmux("capture-pane", "-p")

    def facts(self, names: str) -> str:
        """Returns what tmux knows of the terminal, e.g. "#{cursor_flag} #{alternate_on}"."""
        return self._tmux("display-message", "-p", names).strip()

    async def shows(self, pattern: str, *, within: float = 30.0) -> re.Match[str]:
        """Waits until the screen shows a text that the pattern matches; fails with the screen."""
        last = ""

        def look() -> re.Match[str] | None:
            nonlocal last
            last = self.screen()
            return re.search(pattern, last, re.MULTILINE)

        try:
            found = await eventually(look, within=within, period=_PERIOD_SECONDS)
        except AssertionError:
            raise AssertionError(f"not on the screen within {within} s: {pattern}\n{last}") from None
        assert found is not None
        return found

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-u", "-S", str(self._folder / "tmux"), "-f", os.devnull, *arguments]
        done = subprocess.run(command, env=self._environment, check=True, capture_output=True, text=True)
        return done.stdout
