"""A machine that systemd runs, in a container: the checkout is on it, and nothing of it is installed."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Self

CHECKOUT = Path(__file__).resolve().parents[2]
PREFIX = "/opt/mistudio"
SOURCE = "/usr/src/mistudio"
IMAGE = "mistudio-systemd-test"
BOOT_SECONDS = 60.0
INSTALL_SECONDS = 1800.0
_SETTINGS = "/etc/mistudio/mistudio.env"
_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
# All rights that systemd uses: it makes name spaces, mounts and cgroups for its services.
_RIGHTS = (
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cgroupns=private",
)
_FILE_SYSTEMS = ("--tmpfs=/run:exec", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec")


class MachineError(AssertionError):
    """A command on the machine failed; the message has its output."""


class Machine:
    """One container; `remove` takes it away with all that is on it."""

    def __init__(self) -> None:
        self.name = f"mistudio-systemd-test-{secrets.token_hex(4)}"

    def boot(self) -> Self:
        """Starts it and copies the checkout there: what git knows or does not ignore."""
        build = ["docker", "build", "--quiet", "--tag", IMAGE, "-"]
        _checked(build, stdin=(CHECKOUT / "tests" / "systemd" / "Dockerfile").read_bytes())
        where = (f"--name={self.name}", "--publish=127.0.0.1::50051", "--env=container=docker")
        _checked(["docker", "run", "--detach", *where, *_RIGHTS, *_FILE_SYSTEMS, IMAGE])
        listed = _checked(["git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        there = [path for path in listed.split(b"\0") if path and (CHECKOUT / os.fsdecode(path)).exists()]
        archive = ["tar", "-C", str(CHECKOUT), "--create", "--no-recursion", "--null", "--files-from=-"]
        packed = _checked(archive, stdin=b"\0".join(there))
        self.run("mkdir", "-p", SOURCE)
        self.run("tar", "-C", SOURCE, "--extract", "--no-same-owner", stdin=packed)
        return self

    def is_up(self) -> bool:
        """Tells whether systemd has started what it starts."""
        return self.attempt("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}

    def remove(self) -> None:
        """Kills and removes the container."""
        _checked(["docker", "rm", "--force", "--volumes", self.name])

    def run(self, *command: str, user: str = "root", stdin: bytes = b"") -> str:
        """Runs a command on the machine; returns what it prints. Raises MachineError if it fails."""
        done = self.attempt(*command, user=user, stdin=stdin)
        if done.returncode:
            raise MachineError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def attempt(self, *command: str, user: str = "root", stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        """Runs a command on the machine, which may fail."""
        index = [f"--env={name}" for name in _PIP if name in os.environ]
        done = subprocess.run(
            ["docker", "exec", "--interactive", f"--user={user}", *index, self.name, *command],
            input=stdin,
            capture_output=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    def install(self, *options: str) -> str:
        """Runs the installer as root."""
        return self.run(f"{SOURCE}/deploy/systemd/install.sh", *options)

    def systemctl(self, *arguments: str) -> str:
        """Runs systemctl."""
        return self.run("systemctl", *arguments)

    def show(self, unit: str, key: str) -> str:
        """Returns a property of a unit."""
        return self.systemctl("show", "--value", f"--property={key}", unit).strip()

    def active_units(self) -> set[str]:
        """Names of the mesh's units that are active, the target included."""
        listed = self.systemctl("list-units", "--plain", "--no-legend", "--state=active", "mistudio*")
        return {line.split()[0] for line in listed.splitlines()}

    def processes(self) -> list[str]:
        """Command lines of all processes that run from the prefix."""
        script = "for one in /proc/[0-9]*; do tr '\\0' ' ' <$one/cmdline; echo; done 2>/dev/null"
        return [line for line in self.run("sh", "-c", script).splitlines() if line.startswith(PREFIX)]

    def set(self, name: str, value: str) -> None:
        """Edits the settings as an operator would."""
        self.run("sed", "-i", f"s|^{name}=.*|{name}={value}|", _SETTINGS)

    def settings(self) -> str:
        """Returns the file with the settings."""
        return self.run("cat", _SETTINGS)

    def journal(self) -> str:
        """Returns what the units have logged, and systemd about them."""
        return self.run("journalctl", "--no-pager", "--output=short-precise", "--lines=400", "--unit=mistudio*")

    @property
    def address(self) -> str:
        """Where the gateway is reached from outside, if it listens on every interface."""
        ports = json.loads(_checked(["docker", "inspect", "--format={{json .NetworkSettings.Ports}}", self.name]))
        return f"127.0.0.1:{ports['50051/tcp'][0]['HostPort']}"


def _checked(command: list[str], *, stdin: bytes = b"") -> bytes:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode:
        raise MachineError(f"{' '.join(command[:3])}: {done.returncode}\n{done.stderr.decode()}")
    return done.stdout
