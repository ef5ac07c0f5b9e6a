"""What is in the images, and what is not."""

from __future__ import annotations

import json
import sys

import pytest
from compose_stack import IMAGES, TAG
from docker_engine import inspect, run_once

BASE = "python:3.11-slim-bookworm"
LIGHT = ("gateway", "curator")
LARGEST_LIGHT_BYTES = 200_000_000
FOUND = "import importlib.util, json, sys; print(json.dumps([n for n in sys.argv[1:] if importlib.util.find_spec(n)]))"

pytestmark = pytest.mark.usefixtures("images")


def image(name: str) -> str:
    return f"mistudio-{name}:{TAG}"


def over_base(name: str) -> int:
    return int(inspect(image(name))["Size"]) - int(inspect(BASE)["Size"])


def test_sizes() -> None:
    table = [f"{name:<12}{inspect(image(name))['Size'] / 1e6:>10.0f}{over_base(name) / 1e6:>15.0f}" for name in IMAGES]
    sys.stdout.write("\n".join(["", f"{'image':<12}{'size, MB':>10}{'over base, MB':>15}", *table, ""]))
    assert {name for name in LIGHT if over_base(name) > LARGEST_LIGHT_BYTES} == set()


@pytest.mark.parametrize("name", IMAGES)
def test_what_computes_has_torch_and_what_does_not_has_none(name: str) -> None:
    asked = ("torch", "transformers", "mistudio_sae")
    found = json.loads(run_once(image(name), "python", "-c", FOUND, *asked))
    assert found == ([] if name in LIGHT else [*asked])


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_a_user_a_health_check_and_labels(name: str) -> None:
    config = inspect(image(name))["Config"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"][:2] == ["python", "-m"]
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "mistudio_runtime.serving.probe"]
    assert config["Labels"]["org.opencontainers.image.title"] == f"miStudio mesh {name}"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert not [variable for variable in config["Env"] if "TOKEN" in variable]


@pytest.mark.parametrize("name", IMAGES)
def test_nothing_that_builds_or_caches_is_left(name: str) -> None:
    found = json.loads(run_once(image(name), "python", "-c", FOUND, "hatchling", "pytest"))
    assert found == []
    left = "find /root/.cache /tmp /source /requirements /project* -mindepth 1 2>/dev/null || true"
    assert run_once(image(name), "sh", "-c", left, user="0") == ""
