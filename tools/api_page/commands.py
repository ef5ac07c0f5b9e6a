"""The two command lines of an rpc."""

from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor

ADDRESS = "localhost:50051"
"""Where a gateway listens unless it is told otherwise."""


def commands(method: MethodDescriptor, request: str) -> str:
    """Returns the lines that send a request: with buf, then with grpcurl."""
    path = f"{method.containing_service.full_name}/{method.name}"
    data = "" if request == "{}" else f"-d {_quoted(request)} "
    return f"buf curl --protocol grpc {data}http://{ADDRESS}/{path}\ngrpcurl -plaintext {data}{ADDRESS} {path}"


def _quoted(text: str) -> str:
    """Quotes for a shell; unlike shlex.quote, also where the request needs none."""
    return "'" + text.replace("'", "'\"'\"'") + "'"
