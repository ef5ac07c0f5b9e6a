"""A child process that is asked by lines of JSON and answers so, and ends when its asker does."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
"""What the programs import from, beside what is installed."""
PYTHONPATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
_LINE_BYTES = 64 * 1024 * 1024
_END_SECONDS = 10.0


class ProgramError(RuntimeError):
    """A program ended in place of answering."""


class Program:
    """One `python -m MODULE`: its standard input takes questions, its standard output gives answers."""

    def __init__(self, process: asyncio.subprocess.Process, module: str) -> None:
        """Takes a process that has started; `start` makes one."""
        self._process = process
        self._module = module

    @classmethod
    async def start(
        cls, module: str, *arguments: str, env: Mapping[str, str] | None = None, python: str = sys.executable
    ) -> Self:
        """Starts a program, which inherits the error output."""
        process = await asyncio.create_subprocess_exec(
            *(python, "-m", module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": PYTHONPATH, **(env or {})},
            limit=_LINE_BYTES,
            start_new_session=True,  # a terminal's Ctrl-C is for the asker, which then closes the input
        )
        return cls(process, module)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Asks one question and returns its answer. Raises ProgramError if the program ends instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise ProgramError(f"{self._module} ended with {await self._process.wait()} when asked to {do}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def stop(self) -> None:
        """Closes its input, and kills it if that does not end it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
