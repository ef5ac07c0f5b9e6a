"""The stack's plan, addresses, record and printing."""

from __future__ import annotations

import io
import json
import os
import socket
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mistudio_runtime.processes.guard import LogFile, rotate
from mistudio_runtime.processes.lock import FileLock, LockHeldError, is_alive
from mistudio_runtime.processes.spec import Backoff, describe_exit
from mistudio_runtime.queues import load_queues
from mistudio_runtime.stack.address import AddressError, client_address, fix_address
from mistudio_runtime.stack.console import Console
from mistudio_runtime.stack.own_log import OwnLog
from mistudio_runtime.stack.plan import PlanError, StackPlan, WorkerPlan, parse_scale, plan_stack
from mistudio_runtime.stack.record import ProcessRecord, StackRecord, read_stack, stack_lock_path, stack_path


@pytest.mark.parametrize(
    ("profile", "names", "queues"),
    [
        ("minimal", ["worker"], 6),
        ("full", ["curator", "ingest", "trainer", "extractor"], 6),
        ("datasets", ["ingest", "curator"], 4),
        ("training", ["trainer", "extractor"], 2),
    ],
)
def test_profiles_come_from_the_queue_table(profile: str, names: list[str], queues: int) -> None:
    plan = plan_stack(load_queues(), profile, {})
    assert [worker.name for worker in plan.workers] == names
    assert len(plan.queues) == queues
    assert isinstance(plan, StackPlan)


def test_one_service_has_its_own_command_and_several_share_one() -> None:
    assert WorkerPlan("trainer", ("trainer",)).command[1:] == ("-m", "mistudio_trainer")
    both = WorkerPlan("worker", ("trainer", "ingest")).command
    assert both[1:] == ("-m", "mistudio_runtime.worker", "--services", "trainer,ingest")


def test_a_worker_is_scaled_by_name() -> None:
    plan = plan_stack(load_queues(), "training", parse_scale(["trainer=2"]))
    assert [worker.name for worker in plan.workers] == ["trainer-1", "trainer-2", "extractor"]


@pytest.mark.parametrize(
    ("profile", "scale", "message"),
    [
        ("nope", [], "choose one of minimal, full, datasets, training"),
        ("minimal", ["trainer=2"], "it has worker"),
        ("full", ["trainer=0"], "at least 1"),
        ("full", ["trainer=257"], "take at most 256"),
        ("full", ["trainer=99999999"], "take at most 256"),
        ("full", [f"trainer={'9' * 5000}"], "take at most 256"),
        ("full", ["trainer"], "write it as trainer=2"),
    ],
)
def test_a_wrong_profile_or_scale_says_what_there_is(profile: str, scale: list[str], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan_stack(load_queues(), profile, parse_scale(scale))


def test_port_0_becomes_a_free_port() -> None:
    host, port = fix_address("127.0.0.1:0").split(":")
    assert host == "127.0.0.1"
    assert int(port) > 0


def test_a_taken_address_names_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AddressError, match=f"{listen} is already taken by process {os.getpid()} "):
            fix_address(listen)


@pytest.mark.parametrize("listen", ["localhost", "localhost:", "localhost:http", ""])
def test_a_malformed_address_says_so(listen: str) -> None:
    with pytest.raises(AddressError, match="is not HOST:PORT"):
        fix_address(listen)


@pytest.mark.parametrize("listen", ["127.0.0.1:99999", "host.invalid:0"])
def test_an_impossible_address_says_so(listen: str) -> None:
    with pytest.raises(AddressError, match=f"cannot listen on {listen}"):
        fix_address(listen)


@pytest.mark.parametrize(
    ("listen", "client"),
    [
        ("0.0.0.0:50051", "127.0.0.1:50051"),
        ("[::]:50051", "127.0.0.1:50051"),
        ("10.0.0.7:50051", "10.0.0.7:50051"),
        ("[::1]:50051", "[::1]:50051"),
    ],
)
def test_clients_on_this_machine_get_an_address_that_they_can_dial(listen: str, client: str) -> None:
    assert client_address(listen) == client


RECORD = StackRecord(
    os.getpid(), "full", "127.0.0.1:1", "nats://x", (ProcessRecord("a", 1, "a.log"),), "2026-01-01T00:00:00+00:00"
)


def test_a_record_counts_while_its_lock_is_held_and_its_owner_lives(tmp_path: Path) -> None:
    RECORD.write(tmp_path)
    assert read_stack(tmp_path) is None
    lock = FileLock(stack_lock_path(tmp_path))
    assert read_stack(tmp_path) == RECORD
    lock.release()
    assert read_stack(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"processes": 3}', '{"processes": [{"name": 1}]}'])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    lock = FileLock(stack_lock_path(tmp_path))
    stack_path(tmp_path).write_text(text)
    assert read_stack(tmp_path) is None
    lock.release()


def test_a_lock_is_held_by_one_and_inherited_by_children(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    assert not FileLock.is_held(path)
    lock = FileLock(path)
    inherited = os.dup(lock.fd)
    with pytest.raises(LockHeldError):
        FileLock(path)
    lock.release()
    lock.release()
    assert FileLock.is_held(path)
    os.close(inherited)
    assert not FileLock.is_held(path)


def test_alive_means_running() -> None:
    assert is_alive(os.getpid())
    assert not is_alive(2**22 + 1)


def _printed(*lines: tuple[str, str], pretty: bool) -> str:
    stream = io.StringIO()
    console = Console(["broker", "extractor"], pretty=pretty, stream=stream)
    for name, text in lines:
        console.line(name, text)
    return stream.getvalue()


def test_lines_are_prefixed_and_passed_on() -> None:
    text = '{"event": "hello"}'
    assert _printed(("extractor", text), ("broker", "[ERR] bad"), pretty=False) == (
        f"extractor | {text}\nbroker    | [ERR] bad\n"
    )


def test_the_brokers_banner_stays_in_its_log() -> None:
    assert _printed(("broker", "[1] 2026/01/01 [INF] Starting nats-server"), pretty=False) == ""


def test_json_is_made_readable_on_a_terminal_and_the_rest_left_alone() -> None:
    event = {"event": "hello", "level": "info", "timestamp": "T", "service": "x", "pid": 3, "n": 1, "exception": "E\nF"}
    printed = _printed(("broker", json.dumps(event)), ("broker", "{no json"), ("broker", ""), pretty=True)
    first, *rest = printed.splitlines()
    assert "hello" in first
    assert "n=1" in first
    assert "pid" not in first
    assert rest == ["broker    | E", "broker    | F", "broker    | {no json", "broker    | "]


def test_a_terminal_that_is_gone_costs_lines_only() -> None:
    stream = io.StringIO()
    stream.close()
    Console([], pretty=False, stream=stream).say("hello")


def test_a_log_is_rotated_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistudio_runtime.processes.guard.MAX_LOG_BYTES", 3)
    log = tmp_path / "x.log"
    file = LogFile(str(log))
    for text in (b"1111", b"2222", b"3333", b"4444", b"5"):
        file.write(text)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"x.log": "5", "x.log.1": "4444", "x.log.2": "3333", "x.log.3": "2222"}


def test_a_stack_in_the_background_logs_what_it_does_itself(tmp_path: Path) -> None:
    log = OwnLog(str(tmp_path / "stack.log"))
    log.say("gateway was ended by SIGKILL\n  its last line")
    log.line("gateway", "hello")
    time, rest = (tmp_path / "stack.log").read_text().split(" ", 1)
    assert datetime.fromisoformat(time).utcoffset() == timedelta(0)
    assert rest == "gateway was ended by SIGKILL\n  its last line\n"


def test_rotating_nothing_is_nothing(tmp_path: Path) -> None:
    rotate(str(tmp_path / "x.log"))
    assert not list(tmp_path.iterdir())


def test_backoff_doubles_up_to_its_limit() -> None:
    backoff = Backoff()
    assert [backoff.delay(failures) for failures in (1, 2, 3, 7, 10_000)] == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_exits_in_words() -> None:
    assert describe_exit(3) == "ended with exit code 3"
    assert describe_exit(-15) == "was ended by SIGTERM"
    assert describe_exit(-250) == "was ended by signal 250"
