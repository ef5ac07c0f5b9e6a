"""`mistudio doctor` on a real stack, from its start to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from support.mesh import free_port


class Machine:
    """One home, in which commands are typed."""

    def __init__(self, home: Path, table: Path) -> None:
        self._environment = os.environ | {
            "MISTUDIO_HOME": str(home),
            "MISTUDIO_QUEUES_FILE": str(table),
            "MISTUDIO_LISTEN": f"127.0.0.1:{free_port()}",
            "OMP_NUM_THREADS": "1",
        }
        self._environment.pop("MISTUDIO_GATEWAY", None)

    def type(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mistudio.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)

    def doctor(self) -> tuple[int, dict[tuple[str, str], dict[str, Any]], dict[str, Any]]:
        """Returns exit code, the last finding of each check by where and check, and the whole document."""
        ended = self.type("doctor", "--json")
        document = json.loads(ended.stdout)
        return ended.returncode, {(one["where"], one["check"]): one for one in document["findings"]}, document


@pytest.fixture
def machine(home: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine whose queue table has one profile more: the curator alone, which starts fast."""
    table = tmp_path / "queues.toml"
    shipped = resources.files("mistudio_runtime") / "queues.toml"
    table.write_text(f'{shipped.read_text(encoding="utf-8")}\ncurator = [["curator"]]\n', encoding="utf-8")
    machine = Machine(home, table)
    yield machine
    machine.type("down")


def test_a_stack_without_a_trainer_and_none(machine: Machine) -> None:
    started = machine.type("up", "--profile", "curator", "--detach")
    assert started.returncode == 0, started.stdout + started.stderr
    code, found, document = machine.doctor()
    gateway = document["gateway"]
    assert found["mesh", "gateway"]["message"].startswith(f"The gateway at {gateway} runs ")
    assert found["here", "port"]["message"].startswith(f"{gateway} is the gateway's (process ")
    assert found["here", "stack"]["message"].startswith(f"Profile curator runs at {gateway} with 3 processes")
    for check in (("here", "broker"), ("mesh", "broker"), ("mesh", "streams")):
        assert found[check]["severity"] == "OK", found[check]
    unserved = {one["command"]: one["message"] for one in document["findings"] if one["check"] == "queues"}
    assert unserved == {
        "python -m mistudio_ingest": "No worker serves the queues datasets and processing.",
        "python -m mistudio_trainer": "No worker serves the queue training.",
        "python -m mistudio_extractor": "No worker serves the queue extraction.",
    }
    assert code == (12 if document["problems"] else 0)  # this machine's disk may be full

    text = machine.type("doctor").stdout.splitlines()
    assert text[-1].startswith(f"{document['checks']} checks: ")
    assert any(line.startswith("!  mesh  queues") for line in text)

    assert machine.type("down").returncode == 0
    code, found, document = machine.doctor()
    assert code == 5
    assert found["mesh", "gateway"]["severity"] == "PROBLEM"
    assert found["mesh", "gateway"]["command"] == "mistudio up --detach"
