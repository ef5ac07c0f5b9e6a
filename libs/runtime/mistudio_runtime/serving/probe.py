"""`python -m mistudio_runtime.serving.probe [ADDRESS]`: asks a server of the mesh for its health.

For container engines and scripts: ends with 0 if it is SERVING, else with 1, and says so in one sentence.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_SECONDS = 5.0
SERVING, NOT_SERVING = 0, 1


def probe(address: str, service: str, seconds: float) -> tuple[bool, str]:
    """Asks grpc.health.v1 for a service, or with "" for the whole server; returns whether it serves, and a sentence."""
    what = f"{service} at {address}" if service else address
    # A proxy that the environment names does not lead to this machine.
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its type stub declares no methods
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=seconds)
        except grpc.RpcError as error:
            return False, f"{what} does not tell its health: {error.code().name}"
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return status == "SERVING", f"{what} is {status}"


def main(argv: Sequence[str] | None = None) -> int:
    """Reads the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="probe", description="Ask a server of miStudio mesh for its health.")
    parser.add_argument("address", nargs="?", default=DEFAULT_ADDRESS, help="HOST:PORT (default: %(default)s)")
    parser.add_argument("--service", default="", help="a gRPC service, e.g. mistudio.v1.JobService (default: all)")
    parser.add_argument(
        "--timeout", type=float, default=DEFAULT_SECONDS, metavar="SECONDS", help="the deadline (default: %(default)s)"
    )
    given = parser.parse_args(argv)
    serves, sentence = probe(given.address, given.service, given.timeout)
    sys.stdout.write(f"{sentence}\n")
    return SERVING if serves else NOT_SERVING


if __name__ == "__main__":
    sys.exit(main())
