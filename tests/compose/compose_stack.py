"""One compose project: brought up, hurt, brought down, and removed with everything that belongs to it."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Self

from docker_engine import DockerError, docker, is_healthy, status

import mistudio
from support.mesh import free_port
from support.waiting import eventually

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TAG = "compose-test"
IMAGES = ("gateway", "curator", "ingest", "trainer", "extractor", "worker")
UP_SECONDS = 900.0
RESTART_SECONDS = 180.0
_PATIENT = mistudio.RetryPolicy(attempts=1000, patience=RESTART_SECONDS)


class ComposeStack:
    """A project of its own name, on a port of its own, with one of the profiles."""

    def __init__(self, profile: str, files: Path | None = None, overrides: tuple[str, ...] = ()) -> None:
        self.profile = profile
        self._files = [DEPLOY / name for name in ("compose.yaml", *overrides)]
        self.project = f"mistudio-test-{secrets.token_hex(4)}"
        ports = [str(free_port()) for _ in range(2)]
        self.addresses = [f"127.0.0.1:{port}" for port in ports]
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(("MISTUDIO_", "HF_", "COMPOSE_"))}
        given = {"MISTUDIO_PORT": ports[0], "MISTUDIO_PORT_2": ports[1], "MISTUDIO_TAG": TAG}
        given |= {"HF_TOKEN": "hf_compose_test"}
        given |= {"OMP_NUM_THREADS": "1"}  # the containers share the machine with each other and with this test
        self._environment = inherited | given | ({"MISTUDIO_FILES": str(files)} if files else {})

    def compose(self, *arguments: str, seconds: float = UP_SECONDS) -> str:
        """Runs `docker compose ARGUMENTS…` in this project and profile; returns what it prints."""
        files = [argument for file in self._files for argument in ("--file", str(file))]
        project = ("compose", *files, "--project-name", self.project, "--profile", self.profile)
        return docker(*project, *arguments, environment=self._environment, seconds=seconds)

    def up(self, *arguments: str) -> Self:
        """Starts what does not run and returns when all of it is healthy."""
        try:
            self.compose("up", "--wait", "--no-build", "--quiet-pull", *arguments)
        except DockerError as error:
            raise DockerError(f"{error}\n{self.logs()}") from None
        return self

    def remove(self) -> None:
        """Removes containers, networks and volumes."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def containers(self, service: str) -> list[str]:
        """Returns the ids of a service's containers, running or not."""
        return self.compose("ps", "--all", "--quiet", service).split()

    def container(self, service: str) -> str:
        """Returns the id of a service's only container."""
        [container] = self.containers(service)
        return container

    def services(self) -> list[str]:
        """Returns the names of the profile's services."""
        return sorted(self.compose("config", "--services").split())

    def execute(self, service: str, *command: str) -> str:
        """Runs a command in a service's container; returns what it prints."""
        return docker("exec", self.container(service), *command)

    async def crash(self, service: str) -> None:
        """Kills every process of a container at once and waits until the engine has started it again.

        Not by `docker kill`: what an operator kills stays down.
        """
        container = self.container(service)
        restarts = status(container)[2]
        with contextlib.suppress(DockerError):  # the shell may die with the container
            docker("exec", container, "sh", "-c", "kill -KILL -1")

        def restarted() -> bool:
            return status(container)[2] > restarts and is_healthy(container)

        await eventually(restarted, within=RESTART_SECONDS, what=f"{service} is restarted")

    @property
    def address(self) -> str:
        """Where the gateway is."""
        return self.addresses[0]

    def client(self) -> mistudio.Client:
        """Returns a client from outside of the containers; it waits for a gateway that is away."""
        return mistudio.Client(self.address, timeout=RESTART_SECONDS, retry=_PATIENT)

    def logs(self) -> str:
        """Returns what the containers have said lately."""
        return self.compose("ps", "--all") + self.compose("logs", "--no-color", "--tail", "150").replace("\x1b[2K", "")
