"""A gRPC server as every process of the mesh has it: health, reflection, one translation of errors."""

from mistudio_runtime.serving.server import MeshServer

__all__ = ["MeshServer"]
