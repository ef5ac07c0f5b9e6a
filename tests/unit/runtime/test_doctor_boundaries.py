"""The doctor goes on whatever it meets: it exists for machines on which something is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mistudio import v1
from mistudio_runtime.doctor import configuration, home
from mistudio_runtime.doctor.configuration import check_settings
from mistudio_runtime.doctor.machine import check_machine
from mistudio_runtime.doctor.port import check_port
from mistudio_runtime.settings import Settings
from support.findings import bad, only

SURROUNDINGS = {"settings", "services", "GPU", "model cache", "hub"}
ALL = SURROUNDINGS | {"home", "broker program", "broker", "port", "stack"}


@pytest.fixture(autouse=True)
def quiet(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of a home of the test's own."""
    monkeypatch.setenv("MISTUDIO_HOME", str(home))
    monkeypatch.setenv("MISTUDIO_LISTEN", "127.0.0.1:0")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nats://u:SECRET/PW@h:4222", "holds one of / ? #"),
        ("nats://u:SECRET#PW@h:4222", "holds one of / ? #"),
        ("nats://u:1234/SECRET@h:4222", "holds one of / ? #"),
        ("nats://u:SECRET@h:notaport", "no number from 1 to 65535"),
        ("nats://u:SECRET@h:70000", "no number from 1 to 65535"),
        ("nats://u:SECRET@[::1", "its host is malformed"),
        ("nats://u:SECRET@", "it names no host"),
        ("nats://u:SECRET@a:1,b:2", "more than one broker"),
        ("http://u:SECRET@h:4222", "its scheme is none of nats, tls, ws, wss"),
        ("nats://u:SECRET @h:4222", "a blank"),
    ],
)
async def test_a_malformed_broker_url_is_one_finding_that_tells_no_secret(
    monkeypatch: pytest.MonkeyPatch, url: str, says: str
) -> None:
    monkeypatch.setenv("MISTUDIO_NATS_URL", url)
    found = await check_machine()
    assert {finding.check for finding in found} >= SURROUNDINGS
    severity, sentence, command = only(finding for finding in found if finding.check == "settings")
    assert severity == v1.SEVERITY_PROBLEM
    assert sentence.startswith("MISTUDIO_NATS_URL is wrong: ")
    assert says in sentence
    assert command == "unset MISTUDIO_NATS_URL"
    assert not any(part in str(found) for part in ("SECRET", "PW", "1234"))


@pytest.mark.parametrize("module", ["mistudio_gateway", "mistudio_runtime.stack", "mistudio_curator"])
def test_every_program_says_one_sentence_and_ends_with_2(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTUDIO_NATS_URL", "nats://u:SECRET/PW@h:4222")
    ended = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "MISTUDIO_NATS_URL: its user or password holds" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "SECRET" not in ended.stderr + ended.stdout


def test_a_broker_url_that_is_fine() -> None:
    for url in ("nats://b", "tls://u:p,q@b:4222", "ws://b/path", "nats://[::1]:4222", ""):
        assert Settings.load(nats_url=url).nats_url == url
    assert Settings.load(nats_url="b:4222").nats_url == "nats://b:4222"
    assert Settings.load(nats_url="NATS://u:P@b").nats_url == "nats://u:P@b"


def test_a_file_of_settings_that_is_no_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"token = '\xff\xfe'")
    monkeypatch.setenv("MISTUDIO_CONFIG", str(file))
    assert only(check_settings()[1])[1] == f"{file} is wrong: the file is not UTF-8 text."


@pytest.mark.parametrize("path", ["/tmp/" + "a/" * 2500, "/nowhere/" + "a" * 300])
async def test_a_home_that_no_file_system_takes(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("MISTUDIO_HOME", path)
    found = await check_machine()
    (sentence,) = [finding.message for finding in bad(found) if finding.check == "settings"]
    assert sentence.startswith("MISTUDIO_HOME is wrong: the path is too long")


def test_a_home_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTUDIO_HOME", "~nobody-of-this-name/x")
    assert only(check_settings()[1])[1] == "MISTUDIO_HOME is wrong: no home is known for the user after its ~."


async def test_a_check_that_crashes_costs_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: Path) -> v1.Finding:
        raise RuntimeError("SECRET")

    monkeypatch.setattr(home, "check_home", crash)
    found = await check_machine()
    assert {finding.check for finding in found} == ALL
    severity, sentence, _ = only(finding for finding in found if finding.check == "home")
    assert severity == v1.SEVERITY_PROBLEM
    assert "RuntimeError at test_doctor_boundaries.py:" in sentence
    assert "SECRET" not in str(found)


async def test_settings_whose_check_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "load_queues", None)
    found = await check_machine()
    assert {finding.check for finding in found} == SURROUNDINGS


def test_a_port_that_is_none(home: Path) -> None:
    sentence = only([check_port(Settings(home=home, listen="127.0.0.1:99999"), None)])[1]
    assert sentence.endswith("port must be 0-65535.")
