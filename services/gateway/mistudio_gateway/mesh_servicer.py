"""MeshService over a socket: convert, call, convert."""

from __future__ import annotations

from typing import Any

import grpc.aio

from mistudio import v1
from mistudio_gateway.mesh_check import MeshCheck
from mistudio_runtime.version import version

Context = grpc.aio.ServicerContext[Any, Any]


class MeshServicer(v1.MeshServiceServicer):
    """Tells how the mesh as a whole is."""

    def __init__(self, check: MeshCheck) -> None:
        """Takes what looks at the mesh."""
        self._check = check

    async def CheckMesh(self, request: v1.CheckMeshRequest, context: Context) -> v1.CheckMeshResponse:
        """Checks the mesh."""
        findings = await self._check.run(request.client_version)
        return v1.CheckMeshResponse(findings=findings, gateway_version=version())
