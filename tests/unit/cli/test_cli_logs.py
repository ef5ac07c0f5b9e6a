"""The log files of this machine's mesh as one log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mistudio.cli.main import run
from mistudio.cli.render.logs import local_time, render_entry
from mistudio.cli.stack.log_entry import parse_entry
from mistudio.cli.stack.log_files import entries_back, log_files
from mistudio.cli.stack.log_follower import LogFollower
from mistudio.errors import NotFoundError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the logs lie; the time zone is that of the written times."""
    monkeypatch.setenv("MISTUDIO_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    (tmp_path / "logs").mkdir()
    yield tmp_path / "logs"
    monkeypatch.undo()
    time.tzset()


def record(second: int, event: str, **fields: object) -> str:
    return json.dumps({"timestamp": f"2026-01-02T03:04:{second:02}.5Z", "level": "info", "event": event} | fields)


def write(file: Path, *lines: str) -> None:
    with file.open("a") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run(["logs", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_logs_of_a_service_or_of_all(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="mistudio up --detach"):
        log_files("")
    for name in ("gateway", "trainer-1", "trainer-2", "stack"):
        write(folder / f"{name}.log", record(1, "hello"))
    assert [file.stem for file in log_files("")] == ["gateway", "stack", "trainer-1", "trainer-2"]
    assert [file.stem for file in log_files("trainer")] == ["trainer-1", "trainer-2"]
    with pytest.raises(NotFoundError, match="there is gateway, stack"):
        log_files("train")


def test_several_logs_are_one_in_the_order_of_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "gateway.log", record(1, "one"), record(4, "four", level="warning"))
    write(folder / "trainer.log", record(2, "two"), "Traceback:", "  ZeroDivisionError", record(5, "five", job="job-1"))
    write(folder / "broker.log", "[7] 2026/01/02 03:04:03.000001 [ERR] three")
    write(folder / "stack.log", "2026-01-02T03:04:06.000+00:00 gateway was ended by SIGKILL")
    assert shown(capsys) == [
        "gateway 2026-01-02 03:04:01 info    one",
        "trainer 2026-01-02 03:04:02 info    two",
        "trainer Traceback:",
        "  ZeroDivisionError",
        "broker  2026-01-02 03:04:03 error   three",
        "gateway 2026-01-02 03:04:04 warning four",
        "trainer 2026-01-02 03:04:05 info    five  job=job-1",
        "stack   2026-01-02 03:04:06 info    gateway was ended by SIGKILL",
    ]
    assert shown(capsys, "-n", "1", "trainer") == ["2026-01-02 03:04:05 info    five  job=job-1"]
    assert len(shown(capsys, "-n", "0")) == 0
    assert run(["logs", "nobody"]) == 4


def test_what_matters_and_what_is_about_a_job(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "trainer.log", *(record(n % 60, f"event {n}", job="job-1") for n in range(100)))
    write(folder / "trainer.log", record(59, "bad", level="error", job="job-2"), "Traceback")
    assert len(shown(capsys)) == 40
    assert len(shown(capsys, "--job", "job-1")) == 100
    assert [line.split()[-2:] for line in shown(capsys, "--level", "warning")] == [
        ["bad", "job=job-2"],
        ["trainer", "Traceback"],
    ]


def test_lines_for_scripts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "gateway.log", record(1, "one", pid=7), "plain")
    first, second = (json.loads(line) for line in shown(capsys, "--json"))
    assert first["service"] == "gateway"
    assert (first["record"]["event"], first["record"]["pid"]) == ("one", 7)
    assert second == {"service": "gateway", "line": "plain"}


def test_the_past_goes_on_in_what_was_rotated_away(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "trainer.log.2", record(1, "one"))
    write(folder / "trainer.log.1", record(2, "two"))
    write(folder / "trainer.log", record(3, "three"))
    assert [line.split()[-1] for line in shown(capsys)] == ["one", "two", "three"]
    assert [line.split()[-1] for line in shown(capsys, "-n", "2")] == ["two", "three"]


def test_long_logs_are_read_back_block_by_block(folder: Path) -> None:
    file = folder / "trainer.log"
    write(file, *(record(0, f"{number} {'x' * 300}") for number in range(1_000)))
    write(file, *(f"no time {number}" for number in range(1_000)))
    back = list(entries_back([(file, file.stat().st_size)]))
    assert [line for entry in reversed(back) for line in entry.text.splitlines()] == file.read_text().splitlines()
    assert len(back) < 1_100


def test_a_line_of_many_blocks_is_read_whole_and_shown_cut(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "trainer.log"
    long = record(2, "x" * 5_000_000)
    write(file, record(1, "before"), long, record(3, "after"), "y" * 200_000)
    assert [entry.text for entry in entries_back([(file, file.stat().st_size)])][2] == long
    lines = shown(capsys, "trainer")
    assert [line[-1] for line in lines] == ["e", "…", "r", "…"]
    assert max(len(line) for line in lines) < 17_000


@pytest.mark.parametrize(
    "text", ["", "\n", "a", "a\n", "\na\n\nb", "a" * 65_536 + "\n", "a" * 65_535 + "\n" + "b" * 70_000]
)
def test_lines_at_the_edges_of_blocks(folder: Path, text: str) -> None:
    file = folder / "trainer.log"
    file.write_text(text)
    back = [line for entry in entries_back([(file, len(text))]) for line in reversed(entry.text.split("\n"))]
    assert back == [line for line in reversed(text.split("\n")) if line]


def test_following_tells_whole_lines_of_all_logs_in_order(folder: Path) -> None:
    write(folder / "gateway.log", record(1, "old"))
    write(folder / "trainer.log", record(1, "old"))
    with LogFollower("") as follower:
        assert follower.poll() == []
        with (folder / "trainer.log").open("a") as stream:
            stream.write(record(3, "three") + "\n" + record(4, "four")[:10])
        write(folder / "gateway.log", record(2, "two"))
        assert [entry.service for entry in follower.poll()] == ["gateway", "trainer"]
        write(folder / "trainer.log", record(4, "four")[10:], "Traceback")
        assert [entry.text for entry in follower.poll()] == [record(4, "four"), "Traceback"]


def test_following_goes_on_after_a_rotation_and_in_new_logs(folder: Path) -> None:
    log = folder / "trainer.log"
    write(log, record(1, "old"))
    with LogFollower("trainer") as follower:
        write(log, record(2, "last of the old file"))
        log.replace(folder / "trainer.log.1")
        write(log, record(3, "first of the new file"))
        write(folder / "trainer-2.log", record(4, "another"))
        write(folder / "gateway.log", record(5, "not asked for"))
        events = [(entry.record or {})["event"] for entry in follower.poll()]
        assert events == ["last of the old file", "first of the new file", "another"]
        log.write_text("")
        assert follower.poll() == []
        write(log, record(6, "begun anew"))
        assert len(follower.poll()) == 1


def test_entries_are_made_readable_and_other_lines_left_alone() -> None:
    fields = {"level": "warning", "event": "job ends", "job": "job-1", "exception": "E", "pid": 7, "service": "x"}
    line = json.dumps({"timestamp": "2026-01-02T03:04:05Z"} | fields)
    shown = render_entry(parse_entry("trainer", line)).plain
    assert shown == "2026-01-02 03:04:05 warning job ends  job=job-1\nE"
    assert render_entry(parse_entry("broker", "[INF] plain")).plain == "[INF] plain"
    assert render_entry(parse_entry("broker", "3")).plain == "3"
    assert local_time(datetime.now(UTC)).count("-") == 0
