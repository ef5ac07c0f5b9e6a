"""The systemd installer of deploy/, run below a folder of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
INSTALLER = SYSTEMD / "install.sh"

needs_systemctl = pytest.mark.skipif(
    not (shutil.which("systemctl") and shutil.which("bash")), reason="systemctl and bash are not on this machine"
)
needs_systemd_analyze = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine"
)


class Staging:
    """A folder in place of a machine's root, with a Python environment's programs as far as units name them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.prefix = root / "opt" / "mistudio"
        self.units = root / "etc" / "systemd" / "system"
        self.settings = root / "etc" / "mistudio" / "mistudio.env"

    def run(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the installer with these options, below the root."""
        return subprocess.run(
            [INSTALLER, "--root", self.root, *options],
            env={**os.environ, "PYTHON": sys.executable, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def install(self, *options: str) -> str:
        """Runs the installer, which must succeed; returns what it printed."""
        done = self.run(*options)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    @property
    def enabled(self) -> set[str]:
        """Names of the units that mistudio.target wants."""
        return {link.name for link in (self.units / "mistudio.target.wants").iterdir()}

    @property
    def workers(self) -> set[str]:
        """Enabled instances of mistudio-worker@.service."""
        prefix, suffix = "mistudio-worker@", ".service"
        return {name.removeprefix(prefix).removesuffix(suffix) for name in self.enabled if name.startswith(prefix)}

    def snapshot(self) -> dict[str, tuple[int, int, bytes]]:
        """Every file below the root: its mode, when it was written, and its content (of a link, where it leads)."""
        return {str(path.relative_to(self.root)): _state(path) for path in self.root.rglob("*") if not path.is_dir()}


def _state(path: Path) -> tuple[int, int, bytes]:
    state = path.lstat()
    content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
    return state.st_mode, state.st_mtime_ns, content
