"""Small real programs that stand where services would, for tests of what supervises them."""

from __future__ import annotations

import sys

PATIENT = """
import signal, sys, threading
over = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: over.set())
print("up", flush=True)
over.wait()
print("drained", flush=True)
"""
"""Ends in order on SIGTERM."""

STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    signal.pause()
"""
"""Ignores SIGTERM."""

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print("child", child.pid, flush=True)
child.wait()
"""
"""Starts argv[1] as a child of its own and says its process id."""

GATEWAY = """
import asyncio, json, os, signal, socket
from pathlib import Path
import grpc.aio
import mistudio.v1 as v1
from grpc_health.v1 import health, health_pb2_grpc

class Workers(v1.WorkerServiceServicer):
    async def ListWorkers(self, request, context):
        record = json.loads((Path(os.environ["MISTUDIO_HOME"]) / "run" / "stack.json").read_text())
        workers = [v1.Worker(pid=process["pid"], host=socket.gethostname()) for process in record["processes"]]
        return v1.ListWorkersResponse(workers=[v1.WorkerStatus(worker=worker) for worker in workers])

async def main():
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    v1.add_WorkerServiceServicer_to_server(Workers(), server)
    server.add_insecure_port(os.environ["MISTUDIO_LISTEN"])
    await server.start()
    print("serving", flush=True)
    await over.wait()
    await server.stop(0)
    print("closed", flush=True)

asyncio.run(main())
"""
"""A real gRPC server where the gateway would listen; to it, every process of the stack has attached."""


def python(program: str, *arguments: str) -> tuple[str, ...]:
    """Returns the command that runs a program."""
    return sys.executable, "-c", program, *arguments
