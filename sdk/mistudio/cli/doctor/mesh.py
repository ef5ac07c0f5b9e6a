"""What the gateway, if one answers, finds in the mesh."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from mistudio import v1
from mistudio.blocking.client import Client
from mistudio.calls.mesh import installed_version
from mistudio.errors import NO_GATEWAY, MistudioError, UnimplementedError
from mistudio.retries import RetryPolicy

CHECK = "gateway"
_SECONDS = 20.0
"""For all checks of a gateway, which gives each of them two or three."""
_LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "")  # noqa: S104 - recognised, not bound to


@dataclass(frozen=True)
class MeshAnswer:
    """What is known of the mesh."""

    findings: list[v1.Finding]
    gateway_version: str = ""
    """Empty if no gateway answers."""


def check_mesh(address: str, *, started_here: bool) -> MeshAnswer:
    """Asks the gateway at an address to check the mesh; that none answers is a finding, too.

    `started_here` says whether a mesh runs on this machine: its supervisor starts a gateway again that ended.
    """
    began = time.monotonic()
    try:
        with Client(address, timeout=_SECONDS, retry=RetryPolicy(attempts=3)) as client:
            answer = client.mesh.check()
    except UnimplementedError:
        return MeshAnswer([_too_old(address)], "unknown")
    except MistudioError as error:
        return MeshAnswer([_silent(address, error, started_here=started_here)])
    took = time.monotonic() - began
    sentence = f"The gateway at {address} runs {answer.gateway_version} and checked the mesh in {took:.1f} s."
    return MeshAnswer([_finding(v1.SEVERITY_OK, sentence), *answer.findings], answer.gateway_version)


def is_here(address: str) -> bool:
    """Tells whether an address is one of this machine's."""
    host = address.rpartition(":")[0].strip("[]")
    return host in _LOCAL or host == socket.gethostname()


def _silent(address: str, error: MistudioError, *, started_here: bool) -> v1.Finding:
    unreached = error.reason == NO_GATEWAY
    sentence = f"No gateway answers at {address}." if unreached else f"The gateway at {address} fails: {error.message}."
    command = "mistudio logs gateway" if started_here or not unreached else "mistudio up --detach"
    return _finding(v1.SEVERITY_PROBLEM, sentence, command if is_here(address) else f"ssh {_host(address)} {command}")


def _too_old(address: str) -> v1.Finding:
    sentence = f"The gateway at {address} is older than this client and cannot check the mesh."
    return _finding(v1.SEVERITY_WARNING, sentence, f'pip install --upgrade "mistudio[all]=={installed_version()}"')


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]") or address


def _finding(severity: v1.Severity.ValueType, message: str, command: str = "") -> v1.Finding:
    return v1.Finding(check=CHECK, severity=severity, message=message, command=command)
