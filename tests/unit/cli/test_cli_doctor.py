"""How the doctor's findings are counted, ordered and shown, and what it says without services or gateway."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from mistudio import v1
from mistudio.cli.doctor import here, mesh
from mistudio.cli.doctor.findings import HERE, MESH, Found, Summary, ordered
from mistudio.cli.doctor.mesh import check_mesh, is_here
from mistudio.cli.doctor.render import render
from support.findings import bad, only


def found(where: str, check: str, severity: v1.Severity.ValueType, command: str = "") -> Found:
    return Found(where, v1.Finding(check=check, severity=severity, message=f"About {check}.", command=command))


MIXED = [
    found(HERE, "home", v1.SEVERITY_OK),
    found(MESH, "broker", v1.SEVERITY_PROBLEM, "mistudio logs broker"),
    found(MESH, "queues", v1.SEVERITY_OK),
    found(MESH, "queues", v1.SEVERITY_WARNING, "python -m mistudio_trainer"),
    found(HERE, "broker", v1.SEVERITY_OK),
]


@pytest.fixture
def closed() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def shown(width: int) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, markup=False)
    console.print(render(ordered(MIXED), Summary.of(MIXED), colour=False))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_check_counts_once_and_by_its_worst_finding() -> None:
    assert Summary.of(MIXED).sentence() == "4 checks: 2 fine, 1 warning, 1 problem"
    assert Summary.of(MIXED[:1]).sentence() == "1 check: 1 fine"
    assert Summary.of(MIXED[1:2] * 2).sentence() == "1 check: 1 problem"


def test_the_worst_stand_next_to_the_summary() -> None:
    assert shown(100) == [
        "✓  here  home    About home.",
        "✓  mesh  queues  About queues.",
        "✓  here  broker  About broker.",
        "!  mesh  queues  About queues.",
        "                 python -m mistudio_trainer",
        "✗  mesh  broker  About broker.",
        "                 mistudio logs broker",
        "4 checks: 2 fine, 1 warning, 1 problem",
    ]


def test_a_narrow_terminal_loses_no_word() -> None:
    lines = " ".join(shown(34)).split()
    assert "mistudio_trainer" in "".join(lines)


def test_a_severity_of_a_newer_contract_is_shown() -> None:
    assert found(MESH, "x", 7).document()["severity"] == "7"  # type: ignore[arg-type]


def test_no_gateway(closed: str) -> None:
    assert only(check_mesh(closed, started_here=False).findings) == (
        v1.SEVERITY_PROBLEM,
        f"No gateway answers at {closed}.",
        "mistudio up --detach",
    )
    assert only(check_mesh(closed, started_here=True).findings)[2] == "mistudio logs gateway"


def test_a_gateway_elsewhere(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_here("localhost:50051")
    assert is_here(f"{socket.gethostname()}:1")
    assert not is_here("gpu-box:50051")
    monkeypatch.setattr(mesh, "_LOCAL", ())
    assert only(check_mesh(closed, started_here=False).findings)[2] == "ssh 127.0.0.1 mistudio up --detach"


def test_where_only_the_client_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert only(here.check_here())[:2] == (
        v1.SEVERITY_OK,
        "Only the client is installed here, so nothing but the mesh is checked.",
    )


def test_a_local_part_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "_MODULE", "mistudio_runtime.never")
    (finding,) = here.check_here()
    assert finding.severity == v1.SEVERITY_PROBLEM


def test_nothing_runs_at_all(closed: str, home: Path) -> None:
    command = [sys.executable, "-m", "mistudio.cli", "doctor", "--json"]
    environment = os.environ | {"MISTUDIO_GATEWAY": closed, "MISTUDIO_LISTEN": closed, "MISTUDIO_HOME": str(home)}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 5
    assert ended.stderr == ""
    document = json.loads(ended.stdout)
    findings = [
        v1.Finding(
            check=one["check"],
            severity=v1.Severity.Value(f"SEVERITY_{one['severity']}"),
            message=one["message"],
            command=one["command"],
        )
        for one in document["findings"]
    ]
    assert "gateway" in {finding.check for finding in bad(findings)}
    assert {"settings", "services", "home", "broker program", "broker", "port", "stack", "GPU", "model cache"} <= {
        one["check"] for one in document["findings"] if one["where"] == HERE
    }
    assert document["problems"] >= 1
    assert not home.exists()
