"""What the doctor says of one machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mistudio import v1
from mistudio_runtime.broker.facts import BrokerFacts, StreamFacts
from mistudio_runtime.doctor.broker import check_broker, judge
from mistudio_runtime.doctor.broker_program import check_broker_program, judge_program
from mistudio_runtime.doctor.configuration import check_settings
from mistudio_runtime.doctor.home import check_home
from mistudio_runtime.doctor.hub import check_hub
from mistudio_runtime.doctor.port import check_port
from mistudio_runtime.doctor.services import check_services, missing_libraries
from mistudio_runtime.doctor.stack import check_stack
from mistudio_runtime.settings import Settings
from mistudio_runtime.stack.record import ProcessRecord, StackRecord
from support.findings import bad, only

OK, WARNING, PROBLEM = v1.SEVERITY_OK, v1.SEVERITY_WARNING, v1.SEVERITY_PROBLEM


def record(pid: int | None, *, age: float = 5, ready: bool = True, gateway: str = "127.0.0.1:1") -> StackRecord:
    began = datetime.now(UTC) - timedelta(seconds=age)
    processes = (ProcessRecord("trainer", pid, "/log"),)
    return StackRecord(os.getpid(), "training", gateway, "", processes, began.isoformat(), ready)


def test_every_wrong_setting_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTUDIO_ACK_WAIT_SECONDS", "0")
    monkeypatch.setenv("MISTUDIO_LOG_LEVEL", "loud")
    settings, found = check_settings()
    assert settings is None
    assert sorted(finding.command for finding in bad(found)) == [
        "unset MISTUDIO_ACK_WAIT_SECONDS",
        "unset MISTUDIO_LOG_LEVEL",
    ]


def test_a_list_that_is_no_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTUDIO_ALLOWED_ROOTS", "/data")
    _, found = check_settings()
    sentence = 'MISTUDIO_ALLOWED_ROOTS is wrong: Input should be a list in JSON, such as ["/data"].'
    assert only(found) == (PROBLEM, sentence, "unset MISTUDIO_ALLOWED_ROOTS")


def test_a_wrong_table_of_schedules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "schedules.toml"
    file.write_text('[schedules.nightly]\nevery = "@every 1"\nkind = "sleep"\n')
    monkeypatch.setenv("MISTUDIO_SCHEDULES_FILE", str(file))
    settings, found = check_settings()
    assert settings is None
    assert [finding.command for finding in bad(found)] == ["unset MISTUDIO_SCHEDULES_FILE"] * 2
    assert "no length of time" in found[0].message
    assert "there is no job kind 'sleep'" in found[1].message


def test_a_file_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("home = [")
    monkeypatch.setenv("MISTUDIO_CONFIG", str(file))
    _, found = check_settings()
    assert only(found)[2] == f"${{EDITOR:-vi}} {file}"


def test_values_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTUDIO_TOKEN", "hush-hush")
    _, found = check_settings()
    assert "MISTUDIO_TOKEN" in only(found)[1]
    hub = check_hub({"HF_TOKEN": "hf_secret", "HF_ENDPOINT": "https://user:password@hub"})
    assert only([hub])[1] == "HF_TOKEN and HF_ENDPOINT are set, HF_HUB_OFFLINE is not set."


def test_a_home_that_is_not_there_yet(tmp_path: Path) -> None:
    assert "mistudio up makes it" in only([check_home(tmp_path / "home")])[1]
    (tmp_path / "file").touch()
    assert only([check_home(tmp_path / "file" / "home")])[0] == PROBLEM


def test_the_broker_program(home: Path) -> None:
    assert only([check_broker_program(Settings(home=home))])[0] == OK
    assert "MISTUDIO_NATS_URL" in only([check_broker_program(Settings(home=home, nats_url="nats://b"))])[1]
    assert only([judge_program("nats-server", "nats-server: v2.10.4\n")])[:2] == (
        PROBLEM,
        "nats-server is 2.10.4, but 2.12 or newer is needed.",
    )
    assert only([judge_program("nats-server", "gibberish")])[0] == PROBLEM


async def test_no_broker_and_a_broker_that_is_away(home: Path) -> None:
    assert only(await check_broker(Settings(home=home), None))[0] == OK
    settings = Settings(home=home, nats_url="nats://mesh:secret@127.0.0.1:1")
    assert only(await check_broker(settings, None)) == (
        PROBLEM,
        "The broker at 127.0.0.1:1 cannot be reached: connection refused.",
        "nats-server -c deploy/nats/nats.conf",
    )


def test_a_broker_that_no_gateway_has_used() -> None:
    facts = BrokerFacts("b:4222", connected=True, round_trip=0.01, version=(2, 15, 1), jetstream=True)
    facts.streams = [StreamFacts("JOBS", missing=True)]
    assert only(judge(facts, embedded=False)) == (
        WARNING,
        "The broker at b:4222 runs but lacks JOBS, which a gateway makes.",
        "python -m mistudio_gateway",
    )


def test_the_port(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        severity, sentence, command = only([check_port(Settings(home=home, listen=address), None)])
        assert severity == PROBLEM
        assert sentence.startswith(f"{address} is taken by process {os.getpid()} (")
        assert command == "MISTUDIO_LISTEN=127.0.0.1:0 mistudio up --detach"
        assert only([check_port(Settings(home=home), record(1, gateway=address))])[0] == PROBLEM
    assert only([check_port(Settings(home=home, listen=address), None)])[1] == f"{address} is free for a gateway."


def test_the_port_of_a_gateway(home: Path) -> None:
    program = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    command = [sys.executable, "-c", f"{program}; sys.stdin.read()", "mistudio_gateway"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        assert gateway.stdin is not None
        address = f"127.0.0.1:{gateway.stdout.readline().strip()}"
        found = check_port(Settings(home=home, listen=address), None)
        gateway.stdin.close()
    assert only([found])[1] == f"{address} is the gateway's (process {gateway.pid})."


def test_the_stack() -> None:
    assert only(check_stack(None))[0] == OK
    assert only(check_stack(record(os.getpid())))[1].startswith("Profile training runs at 127.0.0.1:1 with 1 process")
    dead = "trainer does not run; it is started again, less and less often."
    assert only(check_stack(record(None))) == (PROBLEM, dead, "mistudio logs trainer")
    assert only(check_stack(record(os.getpid(), age=500, ready=False)))[0] == WARNING


def test_a_process_that_was_started_again() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as young:
        severity, sentence, command = only(check_stack(record(young.pid, age=86_400)))
        young.communicate(b"\n")
    assert (severity, command) == (WARNING, "mistudio logs trainer")
    assert sentence.startswith("trainer ended and was started again")


def test_the_services() -> None:
    assert only(check_services())[0] == OK
    lines = [
        "click>=8.1",
        "pytest>=8; extra == 'trainer'",
        "never-made<=2,>=1; extra == 'trainer'",
        "never-made-either; (sys_platform != 'win32') and extra == \"trainer\"",
        "nor-this; extra == 'ingest'",
    ]
    assert missing_libraries("trainer", lines) == ["never-made", "never-made-either"]
