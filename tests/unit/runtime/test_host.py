"""What a process knows of its machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mistudio_runtime.host.devices import device_problem, devices, torch_problem, visible
from mistudio_runtime.host.disks import disk, model_cache, nearest_existing
from mistudio_runtime.host.status import HostSampler

ENVIRONMENTS = [
    {},
    {"XDG_CACHE_HOME": "/x/cache"},
    {"HF_HOME": "~/hf", "XDG_CACHE_HOME": "/x/cache"},
    {"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "/old"},
    {"HF_HOME": "/hf", "HF_HUB_CACHE": "$HOME/hub", "HUGGINGFACE_HUB_CACHE": "/old"},
]
ASK_THE_HUB = """
import importlib, json, os, sys
from huggingface_hub import constants
for environment in json.load(sys.stdin):
    os.environ.update(environment)
    print(importlib.reload(constants).HF_HUB_CACHE)
    for name in environment:
        del os.environ[name]
"""


def test_the_model_cache_is_where_the_hub_client_has_it() -> None:
    names = {name for environment in ENVIRONMENTS for name in environment}
    clean = {name: value for name, value in os.environ.items() if name not in names}
    asked = subprocess.run(
        [sys.executable, "-c", ASK_THE_HUB],
        input=json.dumps(ENVIRONMENTS),
        capture_output=True,
        text=True,
        check=True,
        env=clean,
    )
    assert asked.stdout.splitlines() == [str(model_cache(environment)) for environment in ENVIRONMENTS]


def test_a_folder_that_is_not_there_is_judged_by_its_parent(tmp_path: Path) -> None:
    found = disk("home", tmp_path / "not" / "there")
    assert found.path == str(tmp_path / "not" / "there")
    assert found.total_bytes >= found.free_bytes > 0
    assert found.writable
    assert nearest_existing(tmp_path / "not" / "there") == tmp_path


def test_a_file_in_the_way_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not disk("home", tmp_path / "file" / "home").writable


@pytest.mark.parametrize(
    ("chosen", "places"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("2,0", [2, 0]),
        ("1, 2", [1, 2]),
        ("0,7,1", [0]),
        ("GPU-bb", [1]),
        ("GPU-cc11,0", [2, 0]),
    ],
)
def test_cuda_visible_devices(chosen: str | None, places: list[int]) -> None:
    names = [("0", "GPU-aa00"), ("1", "GPU-bb00"), ("2", "GPU-cc11")]
    assert visible(names, chosen) == places


@pytest.mark.parametrize("version", ["", "2.13.0", "2.13.0+cu126"])
def test_a_torch_that_can_use_a_gpu(version: str) -> None:
    assert torch_problem(version) == ""


def test_a_torch_that_cannot() -> None:
    assert torch_problem("2.13.0+cpu") == "the installed torch 2.13.0+cpu is not built for CUDA"


def test_a_machine_says_what_it_has_whatever_that_is() -> None:
    assert isinstance(device_problem(), str)
    assert all(device.name == f"cuda:{number}" for number, device in enumerate(devices()))


def test_a_heartbeat_has_a_sample_from_the_first_on(tmp_path: Path) -> None:
    first = HostSampler(tmp_path).status()
    assert first.HasField("time")
    assert [one.purpose for one in first.disks] == ["home", "model cache"]


def test_looking_starts_no_cuda() -> None:
    program = "import sys, mistudio_runtime.host.status; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
