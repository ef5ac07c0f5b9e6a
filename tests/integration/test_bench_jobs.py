"""The bench of the job plane runs, at sizes that measure nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ("--no-peer", "--jobs", "20", "--rounds", "1", "--samples", "4", "--window-seconds", "1")
CROWDS = ("--watchers", "4", "--workers", "4", "--ledger", "20", "--backlog", "20", "--ack-wait-seconds", "1")


def bench(*arguments: str, home: Path) -> dict[str, Any]:
    """Runs the bench without a peer; returns the JSON object of its last line."""
    command = [sys.executable, "-m", "bench.jobs", *TINY, *CROWDS, "--home", str(home), *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=True)
    assert not list(home.iterdir()), "a bench leaves nothing"
    figures: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return figures


PARTS = {
    "bulk": "batch_jobs_per_s",
    "idle": "idle_start_p50_ms",
    "priority": "priority_start_p50_ms",
    "redelivery": "redelivery_s",
    "cancel": "cancel_p50_ms",
    "watchers": "watchers_p50_ms",
    "workers": "workers_lag_p50_ms",
    "ledger": "gateway_rss_mb",
}
"""Part of the bench to one of its figures."""


def test_a_rate_is_measured_with_what_a_job_costs_each_process(tmp_path: Path) -> None:
    figures = bench("--only", "unary", home=tmp_path)
    assert figures["unary_jobs_per_s"] > 0
    assert figures["sdk_jobs_per_s"] > 0
    assert figures["unary_vs_celery"] is None
    assert figures["cpu_ms_a_job_unary"].keys() == {"client", "gateway", "worker", "nats-server", "sum"}


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_other_part_measures_something(tmp_path: Path, part: str) -> None:
    assert bench("--only", part, home=tmp_path)[PARTS[part]] > 0


def test_an_unknown_part_is_refused() -> None:
    command = [sys.executable, "-m", "bench.jobs", "--only", "speed"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "speed is not one of unary" in ended.stderr
