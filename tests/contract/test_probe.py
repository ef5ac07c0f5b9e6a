"""The health probe against a real server."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from mistudio import v1
from mistudio_runtime.doctor.port import check_port
from mistudio_runtime.serving.probe import NOT_SERVING, SERVING, main
from mistudio_runtime.serving.server import MeshServer
from mistudio_runtime.settings import Settings
from support.findings import only


@pytest.fixture
async def address() -> AsyncIterator[str]:
    server = MeshServer()
    port = await server.start("127.0.0.1:0", ["mistudio.v1.JobService"])
    yield f"127.0.0.1:{port}"
    await server.stop(0)


async def ask(*arguments: str) -> int:
    return await asyncio.to_thread(main, arguments)


async def test_a_server_that_serves(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await ask(address) == SERVING
    assert await ask(address, "--service", "mistudio.v1.JobService") == SERVING
    assert capsys.readouterr().out == f"{address} is SERVING\nmistudio.v1.JobService at {address} is SERVING\n"


async def test_whatever_else_is_not_serving(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await ask(address, "--service", "mistudio.v1.NoService") == NOT_SERVING
    assert "NOT_FOUND" in capsys.readouterr().out
    assert await ask("127.0.0.1:1") == NOT_SERVING
    assert "127.0.0.1:1 does not tell its health: UNAVAILABLE" in capsys.readouterr().out


async def test_a_server_that_says_nothing_has_a_deadline(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert await ask(f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.2") == NOT_SERVING
    assert "DEADLINE_EXCEEDED" in capsys.readouterr().out


async def test_it_runs_as_a_program_and_loads_nothing_of_the_server(address: str) -> None:
    program = [sys.executable, "-m", "mistudio_runtime.serving.probe", address]
    done = await asyncio.to_thread(subprocess.run, program, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{address} is SERVING\n", "")
    loads = "import sys, mistudio_runtime.serving.probe; print({'structlog', 'pydantic', 'nats'} & {*sys.modules})"
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", loads], capture_output=True, text=True)
    assert done.stdout == "set()\n"


async def test_the_doctor_knows_a_gateway_that_another_process_forwards_to(address: str) -> None:
    found = only([await asyncio.to_thread(check_port, Settings(listen=address), None)])
    assert found[0] == v1.SEVERITY_OK
    assert found[1].startswith(f"{address} leads to a gateway (through process ")
