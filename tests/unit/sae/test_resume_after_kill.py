"""kill -9 of a real training process, again and again, resumed, equals the uninterrupted run bit for bit."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiny import write_tokens

STOP_AT = 64 * 100
SEED = 0
"""Of the moments at which the process is killed."""


@contextmanager
def child(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error", str(Path(__file__).parent / "resume_child.py")]
    arguments = [folder / "tokens", folder / name, folder / f"{name}.metrics", STOP_AT]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def run_to_the_pause(folder: Path, name: str) -> list[str]:
    with child(folder, name) as process:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert output.endswith("paused\n")
    return output.splitlines()


def run_until_killed(folder: Path, name: str, tokens: int) -> None:
    with child(folder, name) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= tokens:
                break
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL


def last_checkpoint(folder: Path, name: str) -> dict[str, str]:
    newest = max((folder / name).glob("step-*"))
    assert newest.name == "step-000000000100"
    manifest: dict[str, str] = json.loads((newest / "manifest.json").read_text())
    return manifest


def metrics(folder: Path, name: str) -> dict[tuple[str, str, int], float]:
    points: dict[tuple[str, str, int], float] = {}
    for line in (folder / f"{name}.metrics").read_text().splitlines():
        metric, sae, step, value = json.loads(line)
        # Steps after the last checkpoint are measured twice; both must agree.
        assert points.setdefault((metric, sae, step), value) == value
    return points


def standings(folder: Path, name: str) -> list[dict[str, object]]:
    state = json.loads((max((folder / name).glob("step-*")) / "state.json").read_text())
    found: list[dict[str, object]] = state["standings"]
    return found


def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    write_tokens(tmp_path / "tokens", blocks=64)
    run_to_the_pause(tmp_path, "whole")
    for step in sorted(random.Random(SEED).sample(range(22, 99), 2)):
        run_until_killed(tmp_path, "killed", 64 * step)
    resumed = run_to_the_pause(tmp_path, "killed")
    assert int(resumed[0]) > 64
    # The checksum covers weights, optimizer moments, dead counters, buffer, cursor and random state, byte by byte.
    assert last_checkpoint(tmp_path, "killed") == last_checkpoint(tmp_path, "whole")
    assert metrics(tmp_path, "killed") == metrics(tmp_path, "whole")
    # One SAE of the sweep was stopped and one went back to a checkpoint, in both runs.
    stopped, rolled_back = standings(tmp_path, "whole")[2:4]
    assert stopped["failure"]
    assert (rolled_back["rollbacks"], rolled_back["failure"]) == (1, "")
    assert rolled_back["good"]
