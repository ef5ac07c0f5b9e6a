"""The bench of training runs, at sizes that measure nothing and without its peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = {
    "e2e": ("fvu", "fvu_bf16"),
    "step": ("step_tokens_per_s", "step16k_tokens_per_s"),
    "limits": ("e2e_vs_harvest", "harvest_vs_bare", "e2e_vs_harvest_bf16", "harvest_vs_bare_bf16"),
    "sweep": ("sweep8_vs_one",),
    "rates": ("best_fvu",),
}
"""Part of the bench to some of its figures."""


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_part_measures_something(part: str) -> None:
    command = [sys.executable, "-m", "bench.train", "--no-peers", "--steps", "3", "--rounds", "1", "--only", part]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=True)
    figures: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert all(figures[name] > 0 for name in PARTS[part])
