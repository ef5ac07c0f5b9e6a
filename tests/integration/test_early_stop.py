"""A process that has not found its broker yet ends when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from support.mesh import free_port
from support.waiting import eventually


@pytest.mark.parametrize("module", ["mistudio_gateway", "mistudio_curator"])
async def test_a_stop_is_obeyed_while_no_broker_answers(module: str, tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    environment = os.environ | {
        "MISTUDIO_HOME": str(tmp_path),
        "MISTUDIO_NATS_URL": f"nats://user:hidden-word@{nobody}",
        "MISTUDIO_LISTEN": f"127.0.0.1:{free_port()}",
        "MISTUDIO_LOG_FORMAT": "json",
    }
    output = tmp_path / "output"
    with output.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, env=environment, stdout=stream)
    try:
        await eventually(lambda: "no broker answers" in output.read_text(), what="it says that no broker answers")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
    assert nobody in output.read_text()
    assert "hidden-word" not in output.read_text()
