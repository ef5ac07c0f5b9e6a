"""What others wrote is shown and not obeyed, on a console that takes itself for a terminal."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from mistudio import v1
from mistudio.cli.console import SafeConsole
from mistudio.cli.render.datasets import render_rows
from mistudio.cli.render.jobs import render_job, render_jobs
from mistudio.cli.render.logs import render_entry, render_job_line, render_log_line
from mistudio.cli.session import json_text, make_console
from mistudio.cli.stack.log_entry import parse_entry
from mistudio.cli.top.frame import Frame
from mistudio.cli.top.scene import Scene
from mistudio.cli.top.snapshot import Snapshot
from mistudio.cli.top.tally import Tally
from mistudio.cli.top.view import View
from mistudio.job_log import JobLogLine

EVIL = "a\x1b[2J\x9b2J\x7f\x1b]0;title\x07"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def terminal(width: int = 200) -> SafeConsole:
    return SafeConsole(
        file=io.StringIO(), width=width, height=24, force_terminal=True, color_system="truecolor", highlight=False
    )


def written(console: SafeConsole) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def job() -> v1.Job:
    made = v1.Job(id="job-1", kind="train_sae", display_name=EVIL, queue="training", labels={"key": EVIL})
    made.state = v1.JOB_STATE_FAILED
    made.failure.CopyFrom(v1.Failure(reason="BAD", message=EVIL))
    made.attempts.add(number=1, worker=EVIL)
    return made


@pytest.mark.parametrize(
    "what",
    [
        render_jobs([job()]),
        render_job(job()),
        render_rows(v1.PreviewDatasetResponse(rows=[v1.DatasetRow(index=1, text=EVIL)])),
        render_log_line(v1.LogLine(level="error", message=EVIL)),
        render_job_line(JobLogLine(1, NOW, "error", EVIL, 1, "trainer@1")),
        render_entry(parse_entry("trainer", json.dumps({"level": "error", "event": EVIL, "key": EVIL}))),
        render_entry(parse_entry("trainer", EVIL)),
        EVIL,
    ],
)
def test_control_characters_of_others_come_out_as_signs(what: RenderableType) -> None:
    console = terminal()
    console.print(what)
    text = _COLOUR.sub("", written(console))
    assert not _RAW.search(text)
    assert "a␛[2J�2J␡" in text


@pytest.mark.parametrize("keys", [[], ["enter"]])
def test_the_screen_of_top_keeps_its_shape(keys: list[str]) -> None:
    view, snapshot = View(), Snapshot(active=[job()])
    view.show(snapshot)
    for key in keys:
        view.press(key)
    log = [JobLogLine(1, NOW, "info", EVIL * 9, 1, EVIL)]
    console = terminal(80)
    console.print(Frame(Scene("mesh", snapshot, Tally(NOW), view, NOW, EVIL, log)), end="")
    text = _COLOUR.sub("", written(console))
    assert not _RAW.search(text)
    assert "␛" in text
    assert {cell_len(line) for line in text.splitlines()} == {80}


def test_our_own_colours_and_screens_still_work() -> None:
    console = terminal()
    console.print(Text("red\tor\nnot", style="red"))
    assert "\x1b[31mred" in written(console)
    assert "␉" not in written(console)
    with Live(Text(EVIL), console=console, screen=True, auto_refresh=False):
        pass
    assert "\x1b[?1049h" in written(console)
    assert "\x1b[?1049l" in written(console)
    assert "\x1b[2J" not in written(console)


def test_every_console_of_the_command_is_safe_and_its_json_too() -> None:
    assert isinstance(make_console(), SafeConsole)
    assert isinstance(make_console(stderr=True), SafeConsole)
    text = json_text({"é": EVIL})
    assert not _RAW.search(text)
    assert json.loads(text) == {"é": EVIL}
