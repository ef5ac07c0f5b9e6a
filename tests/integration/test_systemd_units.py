"""The units of deploy/systemd: what systemd itself says of them, and that their constants fit the code's."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mistudio_gateway.__main__ import USAGE_ERROR
from mistudio_runtime.broker.identity import MAX_PAYLOAD_BYTES
from mistudio_runtime.settings import WORKER_STOP_MARGIN_SECONDS, Settings
from mistudio_runtime.stack.supervisor import GATEWAY_READY_SECONDS, GATEWAY_STOP_SECONDS
from mistudio_runtime.worker import run
from support.broker import nats_server_binary
from support.systemd import SYSTEMD, Staging, needs_systemctl, needs_systemd_analyze

EXPOSURE = 1.6
"""The most that systemd-analyze security may find, of 10; an unconfined service has 9.6."""
GPU_EXPOSURE = 2.2
SERVICES = sorted(path.name for path in SYSTEMD.glob("*.service"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Staging:
    """The profile `full`, installed below a folder that also holds the programs which the units name."""
    staging = Staging(tmp_path_factory.mktemp("systemd") / "root")
    staging.install("--profile", "full", "--prefix", str(staging.prefix))
    (staging.prefix / "bin").mkdir(parents=True)
    for program in ("python", "nats-server"):
        (staging.prefix / "bin" / program).write_text("#!/bin/sh\n")
        (staging.prefix / "bin" / program).chmod(0o755)
    return staging


@pytest.fixture
def staging(installed: Staging, tmp_path: Path) -> Staging:
    """A copy of it that the test may change."""
    shutil.copytree(installed.units, tmp_path / "root" / "etc" / "systemd" / "system", symlinks=True)
    return Staging(tmp_path / "root")


def complaints(staging: Staging) -> str:
    """What systemd-analyze verify prints; it exits 0 whatever keys it does not know."""
    units = [staging.units / "mistudio.target", *(staging.units / name for name in staging.enabled)]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


@needs_systemctl
@needs_systemd_analyze
def test_systemd_has_nothing_to_say_about_the_units(staging: Staging) -> None:
    assert complaints(staging) == ""


@needs_systemctl
@needs_systemd_analyze
def test_systemd_has_nothing_to_say_about_the_drop_in_for_gpus(staging: Staging) -> None:
    with_gpu(staging)
    assert complaints(staging) == ""


@needs_systemctl
@needs_systemd_analyze
@pytest.mark.parametrize("file", ["mistudio-gateway.service", "mistudio-worker@trainer.service.d/10-memory.conf"])
def test_a_key_that_systemd_does_not_know_would_be_noticed(staging: Staging, file: str) -> None:
    with (staging.units / file).open("a") as unit:
        unit.write("[Service]\nProtectEverything=yes\n")
    assert "Unknown key" in complaints(staging)


@needs_systemctl
@needs_systemd_analyze
@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_can_do_little_harm(staging: Staging, unit: str) -> None:
    assert exposure(staging, unit) <= EXPOSURE


@needs_systemctl
@needs_systemd_analyze
def test_a_gpu_opens_little_more(staging: Staging) -> None:
    with_gpu(staging)
    assert EXPOSURE < exposure(staging, "mistudio-worker@trainer.service") <= GPU_EXPOSURE


def with_gpu(staging: Staging) -> None:
    drop_in = staging.units / "mistudio-worker@trainer.service.d" / "gpu.conf"
    drop_in.write_text((SYSTEMD / "gpu.conf").read_text())


def exposure(staging: Staging, unit: str) -> float:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(staging.units / unit)]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", text)
    assert found, text
    print(f"{unit}: {found[1]}")  # noqa: T201 - the score is what one wants to see
    return float(found[1])


def test_a_worker_has_time_to_drain() -> None:
    default = Settings.model_fields["stop_grace_seconds"].default
    assert seconds("mistudio-worker@.service", "TimeoutStopSec") >= default + WORKER_STOP_MARGIN_SECONDS + 10


def test_the_gateway_has_the_time_that_a_stack_gives_it() -> None:
    assert seconds("mistudio-gateway.service", "TimeoutStopSec") >= GATEWAY_STOP_SECONDS
    assert seconds("mistudio-gateway.service", "TimeoutStartSec") >= GATEWAY_READY_SECONDS


def test_a_wrong_configuration_is_not_tried_again() -> None:
    assert int(service("mistudio-gateway.service")["RestartPreventExitStatus"]) == USAGE_ERROR
    assert int(service("mistudio-worker@.service")["RestartPreventExitStatus"]) == run._CONFIGURED_WRONGLY


def test_the_settings_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (SYSTEMD / "mistudio.env.example").read_text()
    given = dict(re.findall(r"^#?(MISTUDIO_\w+)=(.*)$", text, re.MULTILINE))
    assert given.pop("MISTUDIO_BROKER_PASSWORD") == "@PASSWORD@"
    assert {name.removeprefix("MISTUDIO_").lower() for name in given} <= set(Settings.model_fields)
    monkeypatch.setenv("MISTUDIO_CONFIG", str(tmp_path / "none.toml"))
    for name, value in given.items():
        monkeypatch.setenv(name, value.strip("'"))
    assert Settings.load().allowed_roots == [Path("/var/lib/mistudio/exchange")]


def test_the_broker_accepts_its_configuration_with_the_password_from_the_settings() -> None:
    command = [nats_server_binary(), "-c", str(SYSTEMD / "nats.conf"), "-t"]
    environment = {**os.environ, "MISTUDIO_BROKER_PASSWORD": "b0123"}
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    del environment["MISTUDIO_BROKER_PASSWORD"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "MISTUDIO_BROKER_PASSWORD" in refused.stderr


def test_the_broker_is_as_safe_and_as_wide_as_the_embedded_one() -> None:
    text = (SYSTEMD / "nats.conf").read_text()
    assert "sync_interval: always" in text
    assert f"max_payload: {MAX_PAYLOAD_BYTES // 2**20}MB" in text


def service(unit: str) -> configparser.SectionProxy:
    """The unit's [Service]; of a key that stands twice the last one."""
    parsed = configparser.RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep capitals
    parsed.read(SYSTEMD / unit)
    return parsed["Service"]


def seconds(unit: str, key: str) -> float:
    return float(service(unit)[key])
