"""Calls of MeshService."""

from __future__ import annotations

from importlib import metadata

from mistudio import v1
from mistudio.calls.call import Call, unary


def check(*, client_version: str | None = None, timeout: float | None = None) -> Call[v1.CheckMeshResponse]:
    """Checks the mesh as its gateway sees it: broker, streams, queues, workers, jobs, versions, clocks, disks, devices.

    `client_version` is compared with the gateway's; None takes that of this SDK, "" compares nothing.
    """
    version = installed_version() if client_version is None else client_version
    request = v1.CheckMeshRequest(client_version=version)
    answer = v1.CheckMeshResponse
    return unary("MeshService/CheckMesh", request, answer, lambda a: a, timeout=timeout, repeatable=True)


def installed_version() -> str:
    """Returns the version of this SDK; "" where it runs without being installed."""
    try:
        return metadata.version("mistudio")
    except metadata.PackageNotFoundError:
        return ""
