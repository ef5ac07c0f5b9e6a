"""The screen of `mistudio top` at several sizes, drawn on a console that writes to a string."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len
from rich.console import Console

from mistudio import v1
from mistudio.cli.top.frame import Frame
from mistudio.cli.top.list_page import missing
from mistudio.cli.top.scene import Scene
from mistudio.cli.top.snapshot import Snapshot
from mistudio.cli.top.tally import Tally
from mistudio.cli.top.view import View
from mistudio.job_log import JobLogLine
from mistudio.states import JobState

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SENTENCE = "No worker serves the queue extraction: start one with `mistudio up`."


def queue(name: str, **fields: object) -> v1.Queue:
    return v1.Queue(name=name, priority=5, **fields)  # type: ignore[arg-type]


def worker(name: str) -> v1.WorkerStatus:
    status = v1.WorkerStatus(
        worker=v1.Worker(name=name, host="host-1", queues=[v1.ServedQueue(queue="training", slots=2)]),
        running=[v1.RunningAttempt(job_id="job-0", queue="training")],
        rss_bytes=157_000_000,
    )
    status.last_seen_time.FromDatetime(datetime.now(UTC))
    return status


def job(number: int, state: JobState = JobState.RUNNING) -> v1.Job:
    made = v1.Job(id=f"job-{number}", kind="train_sae", queue="training", state=state.to_proto(), max_attempts=3)
    made.attempts.add(number=1, worker="trainer@host-1")
    made.create_time.FromDatetime(datetime.now(UTC))
    progress = v1.Progress(fraction=0.42, stage="train", done=420, total=1000, unit="tokens", rate=12_500)
    progress.eta.FromTimedelta(timedelta(seconds=92))
    made.progress.CopyFrom(progress)
    return made


def scene(
    jobs: int = 2, workers: int = 1, keys: Sequence[str] = (), problem: str = "", log: Sequence[JobLogLine] = ()
) -> Scene:
    queues = [queue("training", queued=3, running=1, workers=["trainer@host-1"])]
    queues.append(queue("extraction", diagnosis=SENTENCE))
    snapshot = Snapshot(
        queues=queues,
        workers=[worker(f"trainer@host-{number}") for number in range(workers)],
        active=[job(number) for number in range(jobs)],
    )
    view = View()
    view.show(snapshot)
    for key in keys:
        view.press(key)
    return Scene("mesh:50051", snapshot, Tally(NOW), view, NOW, problem, log)


def drawn(scene: Scene, width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(Frame(scene), end="")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_paused_queues_are_told_of_beside_those_that_nobody_serves() -> None:
    paused = queue("training", workers=["trainer@host-1"], paused=True, diagnosis="The queue training is paused.")
    unserved = [queue(name, diagnosis=SENTENCE) for name in ("extraction", "datasets")]
    sentences = missing(Snapshot(queues=[*unserved, paused])).plain.splitlines()
    assert sentences == ["The queue training is paused.", f"Nobody serves extraction, datasets. {SENTENCE}"]
    assert not missing(Snapshot(queues=[queue("training", workers=["trainer@host-1"])]))


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (60, 12), (40, 8), (20, 4), (250, 70)])
@pytest.mark.parametrize("keys", [[], ["enter"], ["?"]])
def test_every_line_of_the_screen_is_filled_and_none_is_longer(size: tuple[int, int], keys: list[str]) -> None:
    for what in (scene(keys=keys), scene(300, 40, keys, "no gateway answers"), scene(0, 0, keys)):
        lines = drawn(what, *size)
        assert len(lines) == size[1]
        assert {cell_len(line) for line in lines} <= {size[0]}


def test_the_picture_at_the_smallest_size() -> None:
    text = [line.rstrip() for line in drawn(scene())]
    assert text[0].startswith("mistudio mesh:50051  1 worker  3 queued  1 running  ✓ 0  ✗ 0  ◌ 0")
    assert text[0].endswith("03:04:05")
    assert text[3].split() == ["training", "5", "3", "1", "1/2", "trainer@host-1"]
    assert text[5] == SENTENCE
    assert text[8].split()[:4] == ["trainer@host-0", "1/2", "157", "MB"]
    assert text[11].split() == ["▶", "job-0", "train_sae", "●", "running", "━━━", "42%", "1m32s"]
    assert text[-2].startswith("job 1 of 2")
    assert text[-1].startswith("q quit")


def test_wide_screens_tell_more() -> None:
    wide = "\n".join(drawn(scene(), 200, 40))
    for part in ("train 420/1k tokens", "12.5k/s", "1/3", "host-1", "trainer@host-1", "0 succeeded  0 failed"):
        assert part in wide


def test_many_jobs_scroll_and_many_workers_are_counted() -> None:
    text = "\n".join(drawn(scene(300, 40, ["end"])))
    assert "▶  job-299" in text
    assert "job 300 of 300" in text
    assert "more: mistudio workers" in text
    assert " job-1 " not in text


def test_what_is_the_matter_stands_above() -> None:
    assert "no gateway answers; trying again" in drawn(scene(problem="no gateway answers; trying again"))[1]
    assert "frozen" in drawn(scene(keys=[" "]))[1]
    assert drawn(scene())[1].strip() == ""
    nothing = Scene("mesh:50051", Snapshot(), Tally(NOW), View(), NOW, "no gateway answers")
    assert "mistudio up" in "\n".join(drawn(nothing))


def test_questions_and_messages_stand_below() -> None:
    asked = scene(keys=["c"])
    assert drawn(asked)[-1].startswith("cancel job-0? y/n")
    asked.view.press("n")
    asked.view.tell("job-0 is cancelled")
    assert drawn(asked)[-1].startswith("job-0 is cancelled")


def test_a_job_s_page_ends_with_the_newest_lines_and_scrolls_back() -> None:
    log = [JobLogLine(n, NOW, "info", f"line {n}", 1, "trainer@host-1") for n in range(100)]
    page = drawn(scene(keys=["enter"], log=log))
    assert "job-0  train_sae  ● running" in page[2]
    assert "attempt 1 of 3 on trainer@host-1" in page[3]
    assert "42%   train  420/1k tokens" in page[4]
    assert page[-2].rstrip().endswith("line 99")
    assert drawn(scene(keys=["enter", "up", "up"], log=log))[-2].rstrip().endswith("line 97")
    assert "nothing logged yet" in "\n".join(drawn(scene(keys=["enter"])))


def test_names_are_no_markup() -> None:
    strange = scene()
    strange.view.jobs[0].id = "[red]job[/red]"
    assert "[red]job[/red]" in "\n".join(drawn(strange))
