"""The demo at a tiny size: the real mesh from one command, interrupted and repeated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.mesh import free_port

pytestmark = pytest.mark.timeout(600)
DEMO_SECONDS = 400


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    address = f"127.0.0.1:{free_port()}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MISTUDIO_")}
    given = {
        "MISTUDIO_HOME": str(tmp_path / "home"),
        "MISTUDIO_LISTEN": address,
        "MISTUDIO_GATEWAY": address,
        "OMP_NUM_THREADS": "1",
    }
    yield inherited | given
    for process in processes_of(tmp_path):
        process.kill()


def processes_of(folder: Path) -> list[psutil.Process]:
    """Returns the processes whose environment or arguments name the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            home = process.environ().get("MISTUDIO_HOME", "")
            if process.pid != os.getpid() and str(folder) in f"{home} {' '.join(process.cmdline())}":
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def start_demo(environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mistudio.cli", *options, "demo", "--small"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=environment["MISTUDIO_HOME"].rpartition("/")[0],
        start_new_session=True,
    )


def finish(demo: subprocess.Popen[str]) -> dict[str, object]:
    out, err = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 0, err
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_an_interrupted_demo_leaves_no_process_and_goes_on(environment: dict[str, str], tmp_path: Path) -> None:
    first = start_demo(environment)
    artifacts = tmp_path / "home" / "artifacts"
    deadline = time.monotonic() + DEMO_SECONDS
    while not any(artifacts.glob("dataset-*/manifest.json")):
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        wait_a_moment(first)
    os.killpg(first.pid, signal.SIGINT)
    said = "".join(first.communicate(timeout=120))
    assert first.returncode == 130
    assert "Go on with: mistudio demo" in said
    assert not processes_of(tmp_path)
    [dataset] = artifacts.glob("dataset-*")
    committed = (dataset / "manifest.json").read_bytes()

    found = finish(start_demo(environment, "--json"))
    assert (dataset / "manifest.json").read_bytes() == committed
    metrics = found["metrics"]
    assert isinstance(metrics, dict)
    assert 0 < metrics["l0"] <= 8
    assert metrics["explained_variance"] < 1
    features = found["features"]
    assert isinstance(features, list)
    assert len(features) == 10
    assert all(feature["examples"] and feature["top_logits"] for feature in features)
    assert not processes_of(tmp_path)

    again = finish(start_demo(environment, "--json"))
    assert again["artifacts"] == found["artifacts"]
    assert not processes_of(tmp_path)


def wait_a_moment(process: subprocess.Popen[str]) -> None:
    """Waits a moment for the process to end."""
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return
