"""The `mistudio` command as an operator uses it: in a home of its own, as real processes, with nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from support.mesh import free_port

SECONDS = 180.0


class Operator:
    """A person at a terminal with one home and one address for the gateway."""

    def __init__(self, home: Path) -> None:
        """Takes the home; what is called MISTUDIO_* in the environment of the tests does not count."""
        self.home = home
        self.address = f"127.0.0.1:{free_port()}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MISTUDIO_")}
        self.environment = inherited | {
            "MISTUDIO_HOME": str(home),
            "MISTUDIO_LISTEN": self.address,
            "MISTUDIO_GATEWAY": self.address,
            "MISTUDIO_STOP_GRACE_SECONDS": "10",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *arguments: str, code: int = 0, seconds: float = SECONDS) -> str:
        """Runs a command line and returns what it printed; the exit code must be `code`."""
        done = subprocess.run(
            [sys.executable, "-m", "mistudio.cli", *arguments],
            env=self.environment,
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Runs a command line with --json and returns its document."""
        found = json.loads(self.run(*arguments, "--json", code=code))
        assert isinstance(found, dict)
        return found

    def processes(self) -> list[psutil.Process]:
        """Returns what runs on behalf of the home: each such process has it in its environment."""
        return [process for process in psutil.process_iter() if self._belongs(process)]

    def clean_up(self) -> None:
        """Kills whatever a test that failed has left."""
        for process in self.processes():
            process.kill()

    def _belongs(self, process: psutil.Process) -> bool:
        try:
            ours = process.environ().get("MISTUDIO_HOME") == str(self.home)
            return ours and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False
