"""The `docker` command, and what it knows of containers and images."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any


class DockerError(AssertionError):
    """A command of the engine failed; the message has its output."""


def docker(*arguments: str, environment: Mapping[str, str] | None = None, seconds: float = 600) -> str:
    """Runs `docker ARGUMENTS…` and returns what it prints; raises DockerError if it fails."""
    done = subprocess.run(
        ["docker", *arguments], env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode:
        raise DockerError(f"docker {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def inspect(what: str) -> dict[str, Any]:
    """Returns what the engine knows about a container or an image."""
    [found] = json.loads(docker("inspect", what))
    assert isinstance(found, dict)
    return found


def status(container: str) -> tuple[str, str, int]:
    """Returns a container's state, its health, and how often the engine has restarted it."""
    found = inspect(container)
    return found["State"]["Status"], found["State"]["Health"]["Status"], found["RestartCount"]


def is_healthy(container: str) -> bool:
    """Tells whether a container runs and its health check succeeds."""
    return status(container)[:2] == ("running", "healthy")


def run_once(image: str, *command: str, user: str = "") -> str:
    """Runs a command in a fresh container of an image, read-only and without a network; returns what it prints."""
    entrypoint, *arguments = command
    return docker(
        "run", "--rm", "--read-only", "--network", "none", "--user", user, "--entrypoint", entrypoint, image, *arguments
    )
